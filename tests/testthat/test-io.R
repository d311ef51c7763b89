scores <- data.frame(
  subject = c("007", "b"),
  benchmark = "arc",
  full_score = c(10.5, 100)
)
splits <- data.frame(
  subject = c("a", "b"),
  set = c("train", "test"),
  fold = c(1L, NA)
)
responses <- data.frame(subject = c("a", "b"), i1 = c(1L, 0L), i2 = c(NA, 1L))

test_that("tables come back as they were written", {
  folder <- scratch()
  path <- file.path(folder, "new", "deep", "t.parquet")
  for (case in list(
    list(scores, "full_scores"),
    list(splits, "splits"),
    list(responses, "responses")
  )) {
    write_table(case[[1]], path, case[[2]])
    expect_identical(read_table(path, case[[2]]), case[[1]])
  }
  expect_identical(
    list.files(dirname(path), all.files = TRUE, no.. = TRUE),
    "t.parquet"
  )
})

test_that("columns take the types of the contract, unknown ones stay", {
  folder <- scratch()
  path <- file.path(folder, "t.parquet")
  loose <- data.frame(
    subject = factor(c("a", "b")),
    i1 = c(1, 0),
    i2 = c(TRUE, NA),
    i3 = NA
  )
  write_table(loose, path, "responses")
  back <- read_table(path, "responses")
  expect_identical(
    vapply(back, typeof, ""),
    c(subject = "character", i1 = "integer", i2 = "integer", i3 = "integer")
  )
  schema <- nanoparquet::read_parquet_schema(path)
  expect_identical(
    schema$type[schema$name %in% names(loose)[-1]],
    rep("INT32", 3)
  )
  write_table(change(scores, "note", c("x", NA)), path, "full_scores")
  expect_identical(read_table(path, "full_scores")$note, c("x", NA))
})

test_that("not-a-number is a null", {
  checked <- check_table(
    change(make_subjects("a"), "step", NaN),
    "subjects",
    "f"
  )
  expect_identical(checked$step, NA_real_)
  expect_user_error(
    check_table(change(scores, "full_score", c(NaN, 1)), "full_scores", "f"),
    "f: column 'full_score', row 1: is null; give a value"
  )
})

test_that("every breach names file, column, row and remedy", {
  fails <- \(x, table, message) {
    expect_user_error(check_table(x, table, "f.parquet"), message, fixed = TRUE)
  }
  fails(
    scores[-3],
    "full_scores",
    paste0(
      "f.parquet: table 'full_scores' lacks the column 'full_score'; it has ",
      "'subject', 'benchmark': rename or add the column"
    )
  )
  fails(scores[0, ], "full_scores", "table 'full_scores' has no rows; check")
  fails(
    change(scores, "subject", 1:2),
    "full_scores",
    "column 'subject': holds integer values, not a text; convert the column"
  )
  fails(
    change(scores, "full_score", c("1", "2")),
    "full_scores",
    "holds character values, not a finite number at least 0 and at most 100"
  )
  fails(
    change(splits, "fold", as.Date("2024-01-01")),
    "splits",
    "column 'fold': holds Date values, not a whole number at least 1"
  )
  fails(
    change(splits, "set", c("train", NA)),
    "splits",
    "column 'set', row 2: is null; give a value or leave the row out"
  )
  fails(
    change(splits, "set", c("train", "dev")),
    "splits",
    "row 2: 'dev' is not one of train, validation, test; correct the value"
  )
  fails(
    change(splits, "fold", c(1, 1.5)),
    "splits",
    "column 'fold', row 2: '1.5' is not a whole number at least 1"
  )
  fails(change(splits, "fold", c(1, 1e10)), "splits", "row 2: '1e+10' is not")
  fails(
    change(scores, "full_score", c(0, 100.1)),
    "full_scores",
    "row 2: '100.1' is not a finite number at least 0 and at most 100"
  )
  fails(change(make_subjects("a"), "tokens", Inf), "subjects", "'Inf' is not")
  fails(
    change(splits, "subject", "a"),
    "splits",
    "f.parquet: row 2: subject 'a' occurs twice; keep one row of each"
  )
  fails(
    change(scores, "subject", "b"),
    "full_scores",
    "row 2: subject 'b', benchmark 'arc' occurs twice"
  )
  fails(change(responses, "i1", 0:-1), "responses", "column 'i1', row 2: '-1'")
  fails(change(responses, "i1", c("1", "0")), "responses", "holds character")
  fails(responses["subject"], "responses", "has no item column; add one")
  fails(
    stats::setNames(responses, c("subject", "i1", "i1")),
    "responses",
    "column 'i1' occurs twice; keep one"
  )
  fails(responses["i1"], "responses", "lacks the column 'subject'")
})

test_that("a key is the same only when all its columns are", {
  ability <- data.frame(
    subject = c("a", "a", "b"),
    form = c("A", "B", "A"),
    theta = 0,
    se = 1,
    method = "MAP"
  )
  expect_silent(check_table(ability, "abilities", "f"))
  expect_user_error(
    check_table(ability[-2], "abilities", "f"),
    "row 2: subject 'a', method"
  )
  large <- expand.grid(a = 1:300, b = 1:300, c = c("x", "y"))
  expect_silent(check_key(large, "f"))
  expect_user_error(check_key(large[c(seq_len(9e4), 5), ], "f"), "row 90001")
})

test_that("missing, truncated and foreign files are user errors", {
  folder <- scratch()
  path <- file.path(folder, "t.parquet")
  expect_user_error(read_table(path, "splits"), "t.parquet: no such file")
  write_table(splits, path, "splits")
  bytes <- readBin(path, "raw", 1e6)
  for (size in c(0, 3, length(bytes) %/% 2, length(bytes) - 1)) {
    writeBin(utils::head(bytes, size), path)
    expect_user_error(
      read_table(path, "splits"),
      "t.parquet: cannot be read as parquet.*write or download it again"
    )
  }
  writeLines("subject,set,fold", path)
  expect_user_error(read_table(path, "splits"), "of another format")
  expect_user_error(read_table(folder, "splits"), "cannot be read as parquet")
})

test_that("every flipped bit is found, in files of both languages' form", {
  path <- file.path(scratch(), "t.parquet")
  write_table(splits, path, "splits")
  bytes <- readBin(path, "raw", 1e6)
  whole <- read_table(path, "splits")
  # Every byte but those of the mark, without which a file is read as it is.
  mark <- grepRaw(seal_mark, bytes, fixed = TRUE) + seq_along(seal_mark) - 1
  for (at in setdiff(seq(1, length(bytes), by = 7), mark)) {
    damaged <- bytes
    damaged[at] <- xor(bytes[at], as.raw(4))
    writeBin(damaged, path)
    expect_user_error(
      read_table(path, "splits"),
      "t.parquet: (is damaged|cannot)"
    )
  }
  mark <- max(mark) + seq_len(32 + length(seal_mark)) - length(seal_mark)
  writeBin(bytes[-mark], path) # a file of others has no seal
  expect_identical(read_table(path, "splits"), whole)
})

test_that("a full disk is a user error, and no short file is left", {
  folder <- scratch()
  expect_user_error(
    write_atomically(file.path(folder, "t.json"), \(temporary) {
      writeLines("half", temporary)
      stop("Error writing to connection:  No space left on device")
    }),
    "t.json: cannot be written \\(No space left on device\\); free space"
  )
  # nanoparquet reports nothing: its file is cut, which the seal notices.
  expect_user_error(
    write_atomically(file.path(folder, "t.parquet"), \(temporary) {
      writeBin(charToRaw("PAR1 and no end"), temporary)
      seal_parquet(temporary)
    }),
    "t.parquet: cannot be written \\(No space left on device\\)"
  )
  expect_identical(
    list.files(folder, all.files = TRUE, no.. = TRUE),
    character()
  )
})

test_that("a failed write leaves the old file and nothing else", {
  folder <- scratch()
  path <- file.path(folder, "t.txt")
  writeLines("old", path)
  expect_error(
    write_atomically(path, \(temporary) {
      writeLines("half", temporary)
      expect_identical(dirname(temporary), folder)
      expect_match(basename(temporary), "^\\.t\\.txt\\.[0-9]+\\.tmp$")
      stop("power cut")
    }),
    "power cut"
  )
  expect_identical(readLines(path), "old")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), "t.txt")
  expect_user_error(
    write_table(splits[0, ], file.path(folder, "n.parquet"), "splits"),
    "no rows"
  )
  expect_identical(list.files(folder), "t.txt")
  expect_user_error(
    write_atomically(file.path(path, "x"), identity),
    "cannot be written"
  )
})

test_that("records are JSON with nulls for what is not a number", {
  path <- file.path(scratch(), "r.json")
  write_record(
    list(n = 3L, x = 1 / 3, nan = NaN, inf = Inf, s = list(a = "ü"), z = NULL),
    path
  )
  back <- jsonlite::fromJSON(path)
  expect_equal(back$x, 1 / 3, tolerance = 1e-14)
  expect_identical(back$s$a, "ü")
  text <- paste(readLines(path), collapse = "")
  expect_match(text, '"nan": null.*"inf": null.*"z": null')
})

test_that("responses become an integer matrix with names", {
  matrix <- responses_matrix(responses)
  expect_identical(matrix, rbind(a = c(i1 = 1L, i2 = NA), b = c(0L, 1L)))
})

test_that("thousands of item columns are checked in good time", {
  wide <- as.data.frame(matrix(rep(0:1, 50000), 10))
  wide <- data.frame(subject = letters[1:10], wide)
  expect_lt(system.time(check_table(wide, "responses", "f"))[["elapsed"]], 5)
})

test_that("the back end is chosen, forced or missed", {
  withr::local_envvar(ITEMWISE_R_PARQUET = "")
  expect_identical(parquet_backend(), "nanoparquet")
  withr::local_envvar(ITEMWISE_R_PARQUET = "polars")
  expect_user_error(parquet_backend(), "'polars', not one of nanoparquet")
  withr::local_envvar(
    ITEMWISE_R_PARQUET = "python",
    ITEMWISE_COMMAND = "no-such-command"
  )
  expect_user_error(parquet_backend(), "by python: not installed; install")
  withr::local_envvar(ITEMWISE_COMMAND = "sh")
  expect_identical(parquet_backend(), "python")
})

# What every back end has to carry: ids that look like numbers, quotes,
# commas, accents, nulls, whole numbers and all digits of a double.
carry <- function() {
  path <- file.path(scratch(), "deep", "t.parquet")
  tricky <- change(scores, "full_score", c(100 / 3, 0))
  tricky$subject <- c("007", "o'r \"g\", é")
  write_table(tricky, path, "full_scores")
  # A CSV in between may cost the last bit of a double, and no more.
  expect_equal(read_table(path, "full_scores"), tricky, tolerance = 1e-14)
  write_table(responses, path, "responses")
  expect_identical(read_table(path, "responses"), responses)
  write_table(splits, path, "splits")
  expect_identical(read_table(path, "splits"), splits)
  writeLines("not parquet", path)
  expect_user_error(read_table(path, "splits"), "cannot be read as parquet")
}

test_that("nanoparquet carries the tables", {
  withr::local_envvar(ITEMWISE_R_PARQUET = "nanoparquet")
  carry()
})

test_that("arrow carries the tables", {
  skip_if_not_installed("arrow")
  withr::local_envvar(ITEMWISE_R_PARQUET = "arrow")
  carry()
})

test_that("the itemwise command carries the tables", {
  skip_if(!nzchar(Sys.which(itemwise_command())), "itemwise is not installed")
  withr::local_envvar(ITEMWISE_R_PARQUET = "python")
  carry()
})

test_that("any command with the interface of convert-table will do", {
  skip_on_os("windows")
  folder <- scratch()
  script <- file.path(folder, "convert.R")
  writeLines(
    c(
      "args <- commandArgs(TRUE)",
      "stopifnot(args[c(1, 2, 4)] == c('convert-table', '--in', '--out'))",
      "if (endsWith(args[3], '.parquet')) {",
      "  x <- nanoparquet::read_parquet(args[3])",
      "  write.csv(x, args[5], row.names = FALSE, na = '\"\\\\N\"')",
      "} else {",
      "  stopifnot(args[6] == '--table', endsWith(args[5], '.parquet'))",
      "  x <- read.csv(args[3], check.names = FALSE, na.strings = '\\\\N',",
      "    colClasses = c(subject = 'character'))",
      "  nanoparquet::write_parquet(x, args[5])",
      "}"
    ),
    script
  )
  command <- file.path(folder, "itemwise")
  writeLines(
    c(
      "#!/bin/sh",
      sprintf("'%s/Rscript' --vanilla '%s' \"$@\"", R.home("bin"), script)
    ),
    command
  )
  Sys.chmod(command, "755")
  withr::local_envvar(
    ITEMWISE_R_PARQUET = "python",
    ITEMWISE_COMMAND = command
  )
  carry()
})
