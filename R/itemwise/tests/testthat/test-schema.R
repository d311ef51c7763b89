test_that("a section's keys become options as the schema describes them", {
  skip_without_clone()
  spec <- section_options("screening")
  parse <- \(...) stage_options(spec, c(...))
  expect_identical(
    parse(),
    list(
      min_sd = 0.01,
      max_mean = 0.95,
      min_item_total = 0.05,
      discrimination = "correlation"
    )
  )
  expect_identical(parse("--min-sd", "0.2")$min_sd, 0.2)
  expect_user_error(parse("--max-mean", "1.5"), "--max-mean 1.5: must be at mo")
  expect_user_error(parse("--discrimination", "x"), "correlation, discounted")
})

test_that("keys are chosen and left out by name", {
  skip_without_clone()
  names <- \(...) vapply(section_options(...), option_key, "")
  expect_identical(names("readout", "level"), "level")
  expect_identical(
    names("readout", except = "level"),
    c("formula", "form_formula")
  )
  expect_identical(names(NULL, "seed"), "seed")
  expect_error(section_options("readout", "levle"), "no such key")
})

test_that("what may be null is left out, and lists and flags are known", {
  key <- \(...) stage_options(list(key_option("a_key", list(...))), character())
  expect_null(key(type = c("integer", "null"), default = NULL)$a_key)
  expect_null(key(enum = list("weak", NULL), default = NULL)$a_key)
  expect_identical(
    key(type = "array", default = c("a", "b"))$a_key,
    c("a", "b")
  )
  expect_false(key(type = "boolean", default = FALSE)$a_key)
  bounded <- key_option("level", list(type = "number", exclusiveMaximum = 1))
  expect_user_error(
    stage_options(list(bounded), c("--level", "1")),
    "--level 1: must be below 1"
  )
})
