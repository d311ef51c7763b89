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
  skip_without_clone()
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
  skip_without_clone()
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
  write_table(change(scores, "note", c("x", NA)), path, "full_scores")
  expect_identical(read_table(path, "full_scores")$note, c("x", NA))
})

test_that("not-a-number is a null", {
  skip_without_clone()
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
  skip_without_clone()
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
  skip_without_clone()
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
  skip_without_clone()
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

test_that("a full disk is a user error, and no short file is left", {
  folder <- scratch()
  expect_user_error(
    write_atomically(file.path(folder, "t.json"), \(temporary) {
      writeLines("half", temporary)
      stop("Error writing to connection:  No space left on device")
    }),
    "t.json: cannot be written \\(No space left on device\\); free space"
  )
  skip_if_not(file.exists("/dev/full"))
  expect_error(write_bytes(as.raw(1:9), "/dev/full"), "No space left on device")
  expect_identical(
    list.files(folder, all.files = TRUE, no.. = TRUE),
    character()
  )
})

test_that("a failed write leaves the old file and nothing else", {
  skip_without_clone()
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
  skip_without_clone()
  matrix <- responses_matrix(responses)
  expect_identical(matrix, rbind(a = c(i1 = 1L, i2 = NA), b = c(0L, 1L)))
})

test_that("thousands of item columns are checked in good time", {
  skip_without_clone()
  wide <- as.data.frame(matrix(rep(0:1, 50000), 10))
  wide <- data.frame(subject = letters[1:10], wide)
  expect_lt(system.time(check_table(wide, "responses", "f"))[["elapsed"]], 5)
})

test_that("the back end is chosen or forced", {
  withr::local_envvar(ITEMWISE_R_PARQUET = "")
  there <- requireNamespace("nanoparquet", quietly = TRUE)
  expect_identical(parquet_backend(), if (there) "nanoparquet" else "python")
  withr::local_envvar(ITEMWISE_R_PARQUET = "polars")
  expect_user_error(parquet_backend(), "'polars', not nanoparquet or python")
})

# What both back ends have to carry: ids that look like numbers, quotes, commas,
# accents, empty texts, nulls, whole numbers, all digits of a double.
carry <- function(backend) {
  withr::local_envvar(ITEMWISE_R_PARQUET = backend)
  path <- file.path(scratch(), "deep", "t.parquet")
  tricky <- change(scores, "full_score", c(100 / 3, 0))
  tricky$subject <- c("007", "o'r \"g\", é组")
  tricky$empty <- c("", NA)
  tricky$whole <- structure(c(2^53 - 1, NA), int64 = TRUE)
  tricky$flag <- c(NA, TRUE)
  write_table(tricky, path, "full_scores")
  expect_identical(read_table(path, "full_scores"), tricky)
  write_table(responses, path, "responses")
  expect_identical(read_table(path, "responses"), responses)
  write_table(splits, path, "splits")
  expect_identical(read_table(path, "splits"), splits)
  dated <- change(splits, "day", as.Date(c("2026-01-31", NA)))
  write_table(dated, path, "splits")
  expect_identical(read_table(path, "splits")$day, c("2026-01-31", NA))
  expect_user_error(
    write_table(change(splits, "odd", I(list(1, 2))), path, "splits"),
    "column 'odd': holds AsIs values, which R cannot take; write them as text"
  )
  writeLines("not parquet", path)
  expect_user_error(read_table(path, "splits"), "cannot be read as parquet")
}

test_that("nanoparquet carries the tables", {
  skip_without_clone()
  skip_if_not_installed("nanoparquet")
  carry("nanoparquet")
})

test_that("the clone's Python carries the tables", {
  skip_without_clone()
  carry("python")
})

test_that("a forked process converts for itself", {
  skip_without_clone()
  withr::local_envvar(ITEMWISE_R_PARQUET = "python")
  path <- file.path(scratch(), "t.parquet")
  write_table(splits, path, "splits")
  read <- parallel::mclapply(1:2, \(i) read_table(path, "splits"))
  expect_identical(read, list(splits, splits))
  expect_identical(read_table(path, "splits"), splits)
})

test_that("names outside ASCII survive any locale", {
  skip_without_clone()
  path <- file.path(scratch(), "splits.parquet")
  subjects <- file.path(scratch(), "subjects.parquet")
  named <- c(sprintf("组%d/modèle", 1:9), sprintf("b%d/m", 1:9))
  write_table(make_subjects(named, organization = named), subjects, "subjects")
  for (locale in c("C", "POSIX", "C.UTF-8", "")) {
    withr::local_envvar(LC_ALL = locale, LANG = "")
    done <- run_script(
      "split_subjects.R",
      "--subjects",
      subjects,
      "--method",
      "random",
      "--out",
      path,
      "--record",
      paste0(path, ".json")
    )
    expect_identical(done$status, 0L, info = done$stderr)
    expect_setequal(read_table(path, "splits")$subject, named)
    bytes <- readBin(path, "raw", 1e6)
    if (locale == "C") {
      first <- bytes
    }
    expect_identical(bytes, first)
  }
})
