test_that("constant items are dropped or refused", {
  x <- cbind(i1 = c(1L, 0L, NA), i2 = 1L, i3 = c(NA, 0L, 0L), i4 = NA)
  rownames(x) <- c("a", "b", "c")
  expect_user_error(
    drop_constant_items(x[, 1, drop = FALSE]),
    "1 subjects answered none of the items: c"
  )
  # Subject c answered nothing but constant items.
  expect_message(
    data <- drop_constant_items(x),
    "left out 1 subjects that answered constant items only: c"
  )
  expect_identical(data$dropped, c("i2", "i3", "i4"))
  expect_identical(data$responses, x[c("a", "b"), "i1", drop = FALSE])
  expect_user_error(
    drop_constant_items(x, "refuse"),
    "3 items .* i2, i3, i4; screen them out, or pass --constant-items drop"
  )
  expect_user_error(drop_constant_items(x[, 2:4]), "nothing to calibrate")
})

test_that("technical options and flags are parsed", {
  expect_identical(
    parse_technical(c("NCYCLES=2000", "warn=FALSE", "gain = 0.5")),
    list(NCYCLES = 2000L, warn = FALSE, gain = 0.5) |>
      setNames(c("NCYCLES", "warn", "gain"))
  )
  expect_length(parse_technical(NULL), 0)
  expect_user_error(parse_technical("NCYCLES"), "'NCYCLES' is not NAME=NUMBER")
  expect_user_error(parse_technical("a=b"), "'a=b' is not NAME=NUMBER")
})
