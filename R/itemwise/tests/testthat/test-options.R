spec <- list(
  stage_option("full-scores", "list", "score tables", required = TRUE),
  stage_option("test", "number", "share of subjects", default = 0.1),
  stage_option("folds", "integer", "number of folds", default = 10L),
  stage_option(
    "method",
    "string",
    "how",
    default = "random",
    choices = c("random", "date")
  ),
  stage_option("note", "string", "a note"),
  stage_option("dry-run", "flag", "change nothing"),
  stage_option("errors", "flag", "standard errors", default = TRUE)
)

test_that("values have their types and defaults, and hyphens go", {
  opts <- stage_options(spec, c("--full-scores", "a.parquet, b.parquet,"))
  expect_identical(
    opts,
    list(
      full_scores = c("a.parquet", "b.parquet"),
      test = 0.1,
      folds = 10L,
      method = "random",
      note = NULL,
      dry_run = FALSE,
      errors = TRUE
    )
  )
  opts <- stage_options(spec, c("--full-scores=a", "--test=-0.5", "--folds=3"))
  expect_identical(opts[c("test", "folds")], list(test = -0.5, folds = 3L))
  opts <- stage_options(spec, c("--dry-run", "--full-scores", "a"))
  expect_identical(
    opts[c("full_scores", "dry_run")],
    list(
      full_scores = "a",
      dry_run = TRUE
    )
  )
})

test_that("a flag that is on by default can be turned off", {
  parse <- \(...) stage_options(spec, c("--full-scores", "a", ...))$errors
  expect_true(parse("--errors"))
  expect_false(parse("--no-errors"))
})

test_that("options that name tables have the contract's names", {
  skip_without_clone()
  found <- table_options("full_scores", out = "parameters", type = "output")
  expect_identical(vapply(found, option_key, ""), c("full_scores", "out"))
  expect_identical(found[[1]]$name, "full-scores")
  expect_identical(found[[2]]$help, "parameters table")
  expect_error(table_options("full_score"), "not in the contract")
})

test_that("bad options are user errors that name the option", {
  parse <- \(...) stage_options(spec, c("--full-scores", "a", ...))
  expect_user_error(stage_options(spec, character()), "missing: --full-scores")
  expect_user_error(parse("--test", "abc"), "--test: 'abc' is not a number")
  expect_user_error(parse("--test", "Inf"), "not a number")
  expect_user_error(parse("--folds", "2.5"), "'2.5' is not a whole number")
  expect_user_error(parse("--folds", "1e12"), "not a whole number")
  expect_user_error(parse("--method", "x"), "'x' is not one of random, date")
  expect_user_error(parse("--full-scores", ","), "comma-separated list")
  expect_user_error(parse("--foo", "1"), "\"foo\" is invalid; see --help")
  expect_user_error(parse("--test"), "requires an argument; see --help")
  expect_user_error(parse("stray"), "\"stray\"")
})

test_that("help shows options, defaults and what is required", {
  help <- run_script("split_subjects.R", "--help")
  expect_identical(help$status, 0L)
  expect_match(help$stdout, "separated by commas [required]", fixed = TRUE)
  expect_match(help$stdout, "[all|complete; default: all]", fixed = TRUE)
})

test_that("help ends with the example of the script's header", {
  skip_without_clone()
  for (script in list.files(file.path(root, "R"), "\\.R$")) {
    help <- run_script(script, "--help")
    expect_identical(help$status, 0L)
    example <- sub(".*Example:\n", "", help$stdout)
    start <- paste0("  Rscript --vanilla R/", script, " ")
    expect_true(startsWith(example, start), info = script)
    used <- regmatches(example, gregexpr("--[a-z][a-z0-9-]+", example))[[1]]
    for (option in setdiff(used, "--vanilla")) {
      expect_match(help$stdout, paste0("\t", option, "[ =\n]"), info = script)
    }
  }
})

test_that("help may be cut short by its reader", {
  skip_on_os("windows")
  skip_without_clone()
  script <- shQuote(file.path(root, "R", "fit_readout.R"))
  reader <- "--help | head -n 1 > /dev/null"
  shell <- paste("{ Rscript --vanilla", script, reader, "; } 2>&1")
  said <- suppressWarnings(system2(
    "bash",
    c("-c", shQuote(shell)),
    stdout = TRUE,
    stderr = FALSE
  ))
  expect_identical(said, character(0))
})

test_that("a user error ends a stage with status 2 and the message alone", {
  end <- run_script("split_subjects.R", "--test", "0.2")
  expect_identical(end$status, 2L)
  expect_identical(
    end$stderr,
    paste0(
      "split_subjects: error: required option missing: --subjects, --out, ",
      "--record; see --help"
    )
  )
})

test_that("any other error ends a stage with status 1 and the calls", {
  skip_without_clone()
  script <- tempfile(fileext = ".R")
  writeLines(
    c(
      library_lines(),
      "report_errors('demo')",
      "broken <- function() stop('out of luck')",
      "broken()"
    ),
    script
  )
  end <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", script),
    stdout = TRUE,
    stderr = TRUE
  ))
  expect_identical(attr(end, "status"), 1L)
  expect_identical(end[2], "demo: error: out of luck") # after the command
  expect_true("  broken()" %in% end)
})

test_that("messages name a few values only", {
  expect_identical(format_list(1:3), "1, 2, 3")
  expect_identical(format_list(1:7), "1, 2, 3, 4, 5 and 2 more")
})

test_that("commands are written as a shell reads them, and read back", {
  words <- c(
    "R/fit.R",
    "--formula",
    "y ~ s(x, bs = 'cr')",
    "it's",
    "'",
    "a b",
    "",
    "$HOME \"x\"",
    "one\ntwo"
  )
  line <- paste(quote_words(words), collapse = " ")
  echoed <- system2(
    "sh",
    c("-c", shQuote(paste("printf '%s\\n'", line))),
    stdout = TRUE
  )
  one_line <- sub("\n", " ", words)
  expect_identical(echoed, one_line)
  expect_identical(split_words(line), one_line)
})

test_that("an interactive stage takes the options of the run", {
  run <- scratch()
  logs <- file.path(run, "logs/demo")
  dir.create(logs, recursive = TRUE)
  spec <- list(
    stage_option("formula", "string", "a formula"),
    stage_option("threads", "integer", "threads"),
    stage_option("record", "output", "a file"),
    stage_option("out", "output", "a file")
  )
  withr::local_options(itemwise.run = NULL, itemwise.benchmark = NULL)
  expect_user_error(interactive_options("demo", spec), "no run is chosen")
  options(itemwise.run = run)
  expect_user_error(interactive_options("other", spec), "no log of other")
  command <- paste(
    "Rscript --vanilla R/demo.R --formula 'y ~ s(x, bs = '\\''cr'\\'')'",
    "--threads 4 --out results/r/demo/arc.parquet"
  )
  writeLines(c(command, "a notice"), file.path(logs, "arc.log"))
  expect_message(
    opts <- interactive_options("demo", spec),
    "options of .*arc.log; what is written goes to"
  )
  expect_identical(
    opts,
    list(
      formula = "y ~ s(x, bs = 'cr')",
      threads = 1L,
      record = NULL,
      out = file.path(tempdir(), "demo", "arc.parquet")
    )
  )
  writeLines("killed", file.path(logs, "gsm8k.log"))
  expect_user_error(
    interactive_options("demo", spec),
    "choose a benchmark by work_on\\(run, name\\): arc, gsm8k"
  )
  options(itemwise.benchmark = "gsm8k")
  expect_user_error(
    interactive_options("demo", spec),
    "gsm8k.log: lacks the command of the stage"
  )
})

test_that("a log begins with the command even where the library is broken", {
  skip_without_clone()
  folder <- scratch()
  file.copy(file.path(root, "R"), folder, recursive = TRUE)
  write("broken <- function( {", file.path(folder, "R/itemwise/R/screen.R"))
  script <- file.path(folder, "R/screen_items.R")
  printed <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", script, "--out", "x.parquet"),
    stdout = TRUE,
    stderr = TRUE
  ))
  command <- paste("Rscript --vanilla", script, "--out x.parquet")
  expect_true(command %in% printed)
  expect_match(printed, "screen.R:1:21: unexpected", all = FALSE)
})
