use_utf8() # before paths, which may hold any character

# The clone whose contract, schema and stages the tests use; an installed
# package may be tested without one.
root <- tryCatch(full_path(project_root()), user_error = \(e) NULL)
options(itemwise.root = root)

skip_without_clone <- function() {
  skip_if(is.null(root), "no clone of itemwise here (ITEMWISE_ROOT)")
}

# Lines of an R script that begins as a stage does.
library_lines <- function() {
  sprintf("source('%s')", file.path(root, "R/itemwise/load.R"))
}

# A folder of its own that goes away with the test.
scratch <- function(env = parent.frame()) {
  folder <- tempfile("itemwise")
  dir.create(folder)
  withr::defer(unlink(folder, recursive = TRUE), env)
  folder
}

# Run a stage as a process, as a user does; `stdout` is what it prints after the
# command, with which its log begins.
run_script <- function(stage, ...) {
  skip_without_clone()
  stderr <- tempfile()
  stdout <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", shQuote(file.path(root, "R", stage)), shQuote(c(...))),
    stdout = TRUE,
    stderr = stderr
  ))
  status <- attr(stdout, "status")
  stdout <- stdout[!startsWith(stdout, "Rscript --vanilla ")]
  list(
    status = if (is.null(status)) 0L else status,
    stdout = paste(stdout, collapse = "\n"),
    stderr = paste(readLines(stderr), collapse = "\n")
  )
}

# A training table of responses; subjects without a fold are left out.
save_training <- function(x, fold, full_score, path) {
  rows <- !is.na(fold)
  list(
    responses = x[rows, ],
    fold = fold[rows],
    full_score = full_score[rows]
  ) |>
    write_training(path)
}

# Subjects of a `subjects` table with the columns that a test cares about.
make_subjects <- function(subject, organization = NA, date = NA, group = NA) {
  data.frame(
    subject = subject,
    organization = organization,
    model = NA,
    revision = NA,
    step = NA,
    tokens = NA,
    parameters = NA,
    date = date,
    group = group
  )
}

expect_user_error <- function(object, regexp, ...) {
  testthat::expect_error(object, regexp, class = "user_error", ...)
}

# A data frame with one column replaced.
change <- function(x, column, values) {
  x[[column]] <- values
  x
}
