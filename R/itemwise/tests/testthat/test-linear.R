# Responses of n subjects to items of known weight, and the score they make.
simulate_items <- function(n, weights, seed) {
  set.seed(seed)
  theta <- rnorm(n)
  p <- length(weights)
  x <- matrix(
    rbinom(n * p, 1, plogis(theta + rnorm(p)[col(matrix(0, n, p))])),
    n
  )
  colnames(x) <- sprintf("i%02d", seq_len(p))
  list(x = x, y = 20 + drop(x %*% weights) + rnorm(n), theta = theta)
}

test_that("a ridge regression is the minimum of its criterion", {
  data <- simulate_items(200, seq(0, 5, length.out = 8), 1)
  fit <- fit_ridge(data$x, data$y)
  x <- scale(data$x, scale = FALSE)
  direct <- solve(
    crossprod(x) + fit$lambda * diag(8),
    crossprod(x, data$y - mean(data$y))
  )
  expect_equal(unname(fit$coefficients), as.vector(direct))
  expect_equal(mean(predict_ridge(fit, data$x)), mean(data$y))
  # With little noise the penalty is small, and the weights are found: four
  # standard errors of a slope with noise 1, 200 subjects, spread 0.4.
  expect_lt(max(abs(direct - seq(0, 5, length.out = 8))), 4 / (0.4 * sqrt(200)))
})

test_that("noise is shrunk", {
  data <- simulate_items(60, rep(0, 40), 2)
  fit <- fit_ridge(data$x, data$y)
  plain <- coef(lm(data$y ~ data$x))[-1]
  expect_lt(sum(fit$coefficients^2), 0.1 * sum(plain^2))
})

test_that("nobody is predicted by a model that has seen them", {
  data <- simulate_items(100, rep(1, 5), 3)
  fold <- rep_len(1:4, 100)
  predicted <- cross_fit_ridge(data$x, data$y, fold)
  spoilt <- data$y
  spoilt[fold == 2] <- 1000
  again <- cross_fit_ridge(data$x, spoilt, fold)
  # But for the mean of all, which shifts every row alike.
  shift <- mean(spoilt) - mean(data$y)
  expect_equal(again[fold == 2], predicted[fold == 2] + shift)
  expect_false(any(again[fold != 2] == predicted[fold != 2]))
})

test_that("where responses tell nothing, no smooth can learn the fold", {
  data <- simulate_items(60, rep(0, 3), 4)
  fold <- rep_len(1:5, 60)
  predicted <- cross_fit_ridge(1e-3 * data$x, data$y, fold)
  others <- vapply(1:5, \(k) mean(data$y[fold != k]), 0)
  expect_lt(diff(range(predicted)), 0.01 * diff(range(others)))
})

test_that("cells not administered are filled by their expectation", {
  known <- data.frame(
    item = c("a", "b"),
    a = c(1, 2),
    d = c(0, 1),
    g = 0.2,
    u = 0.9
  )
  x <- matrix(c(1, NA, NA, 0), 2)
  filled <- fill_expected(x, known, c(-1, 1))
  expect_identical(filled[c(1, 4)], c(1, 0))
  expect_equal(filled[2, 1], 0.2 + 0.7 * plogis(1))
  expect_equal(filled[1, 2], 0.2 + 0.7 * plogis(-2 + 1))
})

form_data <- function(items, seed = 5) {
  n <- nrow(items$x)
  set.seed(seed)
  data.frame(
    subject = sprintf("s%04d", seq_len(n)),
    theta = items$theta + rnorm(n, sd = 0.3),
    se = 0.3,
    full_score = pmin(pmax(items$y, 0), 100),
    set = rep(c("train", "test"), c(n - n / 4, n / 4)),
    fold = ifelse(seq_len(n) <= n - n / 4, rep_len(1:5, n), NA)
  )
}
both <- full_score ~ s(linear, k = 10) + s(theta, k = 10)

test_that("responses tell more than ability, and shuffled ones nothing", {
  items <- simulate_items(800, c(rep(1, 10), rep(8, 4)), 4)
  data <- form_data(items)
  known <- data.frame(item = colnames(items$x), a = 1, d = 0, g = 0, u = 1)
  error <- function(x, formula) {
    rownames(x) <- data$subject
    made <- add_form_features(in_set(data, "train"), x, known)
    others <- in_set(data, "test")
    others$linear <- predict_ridge(made$fit, x[others$subject, ])
    rmse_of(fit_readout(made$data, formula), others)
  }
  ability <- error(items$x, full_score ~ s(theta, k = 10))
  expect_lt(error(items$x, both), 0.5 * ability)
  set.seed(6)
  shuffled <- apply(items$x, 2, sample)
  spread <- sd(data$full_score[data$set == "test"])
  expect_gt(error(shuffled, full_score ~ s(linear, k = 10)), 0.97 * spread)
})

test_that("a record without optimism is refused", {
  path <- file.path(scratch(), "record.json")
  expect_identical(read_optimism(NULL), 1)
  writeLines("{", path)
  expect_user_error(read_optimism(path), "not a readable JSON record")
  writeLines("{}", path)
  expect_user_error(read_optimism(path), "lacks the key 'optimism'")
})

test_that("subjects need responses", {
  items <- simulate_items(100, rep(1, 3), 1)
  rownames(items$x) <- form_data(items)$subject
  expect_user_error(
    add_form_features(form_data(items), items$x[-1, ], data.frame()),
    "--training: lacks the subjects s0001, who have an ability"
  )
})

test_that("selected items need responses and parameters", {
  inputs <- list(
    items = list(A = c("i1", "i2")),
    abilities = list(A = 1),
    training = list(responses = matrix(0, 1, 1, dimnames = list("s", "i1"))),
    parameters = data.frame(item = c("i1", "i2"))
  )
  opts <- list(training = "r.parquet", parameters = "p.parquet")
  expect_user_error(
    check_items(inputs, opts),
    "r.parquet: lacks .* i2; give the"
  )
})

test_that("an error in one of several processes is an error", {
  for (threads in 1:2) {
    expect_error(
      over_forms(c("a", "b"), threads, \(form) stop("no ", form)),
      "no a"
    )
  }
})

test_that("an error tells its form and its calls, from any process", {
  skip_without_clone()
  script <- tempfile(fileext = ".R")
  writeLines(
    c(
      library_lines(),
      "report_errors('demo')",
      "read_out <- function(form) if (form == 'B') stumble() else form",
      "stumble <- function() stop('out of luck')",
      "over_forms(c('A', 'B'), as.integer(commandArgs(TRUE)), read_out)"
    ),
    script
  )
  message <- c("demo: error: out of luck", "demo: error: form 'B': out of luck")
  for (threads in 1:2) {
    end <- suppressWarnings(system2(
      file.path(R.home("bin"), "Rscript"),
      c("--vanilla", script, threads),
      stdout = TRUE,
      stderr = TRUE
    ))
    expect_identical(attr(end, "status"), 1L)
    expect_identical(end[2], message[threads]) # after the command
    expect_true("  stumble()" %in% end)
    expect_false(any(grepl("sendMaster", end)))
  }
})

test_that("work stops at the first error, and a user's error stays one", {
  seen <- character()
  expect_error(over_forms(c("a", "b"), 1, \(form) {
    seen <<- c(seen, form)
    stop("no")
  }))
  expect_identical(seen, "a")
  expect_user_error(
    over_forms(c("a", "b"), 2, \(form) user_error("form ", form)),
    "^form a$"
  )
})
