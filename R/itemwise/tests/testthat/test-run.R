make_run <- function(env = parent.frame()) {
  results <- scratch(env)
  at <- \(...) file.path(results, ...)
  scores <- data.frame(
    subject = c("a/x", "b/y"),
    benchmark = "arc",
    full_score = c(20, 60)
  )
  responses <- data.frame(subject = c("a/x", "b/y"), i1 = 0:1, i2 = c(1L, NA))
  write_table(responses, at("build_responses/arc.parquet"), "responses")
  write_table(
    scores,
    at("build_responses/arc.full-scores.parquet"),
    "full_scores"
  )
  write_table(
    make_subjects(c("a/x", "b/y")),
    at("build_responses/arc.subjects.parquet"),
    "subjects"
  )
  write_record(list(n = 2L), at("build_responses/arc.json"))
  training <- list(
    responses = as.matrix(responses[1, c("i1", "i2")]),
    fold = 1L,
    full_score = 20
  )
  rownames(training$responses) <- "a/x"
  write_training(training, at("training/arc.parquet"))
  writeLines("not parquet", at("build_responses/gsm.parquet"))
  dir.create(at("logs"))
  results
}

# The names that the lines of a file give.
assigned <- function(lines) {
  given <- Filter(\(line) is.call(line) && line[[1]] == quote(`<-`), lines)
  vapply(given, \(line) as.character(line[[2]])[1], "")
}

test_that("tables of a run are there by folder, checked when they are used", {
  skip_without_clone()
  results <- make_run()
  # Tables in folders of their own are not loaded, and leave no empty stage.
  dir.create(file.path(results, "profile_checkpoints", "m"), recursive = TRUE)
  run <- load_run(results)
  expect_identical(ls(run), c("build_responses", "training"))
  expect_identical(run$training$arc$full_score, 20)
  expect_identical(run$build_responses$arc$i1, 0:1)
  expect_identical(run$build_responses$`arc.full-scores`$full_score, c(20, 60))
  expect_identical(run$build_responses$arc.record$n, 2L)
  expect_user_error(run$build_responses$gsm, "gsm.parquet: cannot be read")
  expect_output(print(run), "build_responses: arc, arc.full-scores, arc.record")
  expect_user_error(load_run(scratch()), "no results of a run")
})

test_that("tables of a benchmark come into the session by name", {
  skip_without_clone()
  withr::local_options(itemwise.run = NULL, itemwise.benchmark = NULL)
  results <- make_run()
  session <- new.env()
  expect_message(
    put <- work_on(load_run(results), "arc", session),
    "in the session: responses, subjects, full_scores, training"
  )
  expect_setequal(ls(session), put)
  expect_identical(session$full_scores$full_score, c(20, 60))
  expect_identical(getOption("itemwise.run"), results)
  expect_identical(getOption("itemwise.benchmark"), "arc")
  expect_user_error(work_on(load_run(results), "acr"), "no benchmark 'acr'")
})

test_that("the longest pattern says what a file holds", {
  kinds <- data.frame(
    file = c("{benchmark}", "{benchmark}.items", "splits"),
    table = c("responses", "items", "splits")
  )
  expect_identical(table_of("arc", kinds), "responses")
  expect_identical(table_of("arc.items", kinds), "items")
  expect_null(table_of("arc", kinds[3, ]))
})

test_that("load.R puts the library on the search path, from any folder", {
  skip_without_clone()
  twice <- rep(library_lines(), 2)
  code <- c(twice, "cat(ls(), exists('fit_readout'))") |>
    paste(collapse = "; ")
  printed <- system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", "-e", shQuote(code)),
    stdout = TRUE
  )
  expect_identical(printed, " TRUE")
})

test_that("every stage begins with the same line, which finds the library", {
  skip_without_clone()
  scripts <- list.files(file.path(root, "R"), "\\.R$", full.names = TRUE)
  first <- lapply(scripts, \(script) parse(script)[[1]])
  expect_length(unique(first), 1)
  folder <- file.path(scratch(), "with blank, né")
  dir.create(folder)
  file.copy(file.path(root, "R"), folder, recursive = TRUE)
  withr::local_dir(folder)
  withr::local_envvar(LC_ALL = "C")
  writeLines(
    c(deparse(first[[1]], 500), "cat(exists('fit_readout'))"),
    "R/stage.R"
  )
  for (path in c("R/stage.R", full_path("R/stage.R"))) {
    printed <- system2(
      file.path(R.home("bin"), "Rscript"),
      c("--vanilla", shQuote(path)),
      stdout = TRUE
    )
    expect_identical(printed[2], "TRUE")
  }
})

test_that("a stage's variables hide neither tables nor the library", {
  skip_without_clone()
  library <- lapply(
    list.files(file.path(root, "R/itemwise/R"), "\\.R$", full.names = TRUE),
    parse
  )
  taken <- c(run_tables()$session, unlist(lapply(library, assigned)))
  for (script in list.files(file.path(root, "R"), "\\.R$", full.names = TRUE)) {
    names <- assigned(parse(script))
    expect_true("opts" %in% names)
    expect_identical(intersect(names, taken), character(), info = script)
  }
})
