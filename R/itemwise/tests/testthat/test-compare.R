readout_of <- function(predicted, readout = "ability") {
  data.frame(
    subject = sprintf("s%d", seq_along(predicted)),
    benchmark = "arc",
    form = "A",
    readout = readout,
    full_score = 50,
    predicted = predicted
  )
}

test_that("squared errors are compared subject by subject, by hand", {
  old <- readout_of(50 + c(1, 2, 3, 4))
  new <- readout_of(50 + c(0, 2, 1, 4))
  # Changes -1, 0, -8, 0, mean -2.25; by organization 1.25 + 2.25 and
  # -5.75 + 2.25 from the mean.
  subjects <- make_subjects(old$subject, organization = c("a", "a", "b", "b"))
  found <- compare_readouts(new[4:1, ], old, subjects)
  expect_equal(found$difference, -2.25)
  expect_equal(found$se, sqrt(2 * 2 * 3.5^2) / 4)
  expect_identical(c(found$n, found$clusters), c(4L, 2L))
  expect_equal(found$rmse_new^2 - found$rmse_old^2, -2.25)
})

test_that("groups go before organizations, and a subject may be its own", {
  set.seed(1)
  old <- readout_of(50 + rnorm(40))
  new <- readout_of(50 + rnorm(40))
  change <- (new$predicted - 50)^2 - (old$predicted - 50)^2
  alone <- compare_readouts(new, old, make_subjects(old$subject))
  expect_equal(alone$se, sd(change) / sqrt(40))
  subjects <- make_subjects(old$subject, "one", group = rep(1:8, 5))
  expect_identical(compare_readouts(new, old, subjects)$clusters, 8L)
})

test_that("tables that do not meet are refused", {
  expect_user_error(
    compare_readouts(readout_of(1), readout_of(1, "form"), make_subjects("s1")),
    "no subject is in both tables with form 'A', read-out 'ability'"
  )
})
