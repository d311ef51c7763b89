# ---- Calibration -------------------------------------------------------------

test_that("LSAT7 has the published 2PL estimates", {
  skip_without_mirt()
  x <- lsat7()
  fit <- fit_mirt(x, "2PL", standard_errors = TRUE)
  # Chalmers 2012, Journal of Statistical Software 48(6), section 4.1.
  a <- c(0.988, 1.081, 1.706, 0.765, 0.736)
  d <- c(1.856, 0.808, 1.804, 0.486, 1.855)
  expect_lt(max(abs(fit$parameters$a - a)), 0.002)
  expect_lt(max(abs(fit$parameters$d - d)), 0.002)
  expect_identical(fit$parameters$item, colnames(x))
  expect_silent(check_table(fit$parameters, "parameters", "f"))
  with(fit$record, {
    expect_lt(abs(log_likelihood - -2658.805), 0.001)
    expect_lt(abs(log_likelihood - log_likelihood_mirt), 1e-6)
    expect_lt(abs(log_likelihood - log_likelihood_fine), 1e-4)
    expect_identical(log_posterior, log_likelihood)
    expect_true(converged)
    expect_lt(max_gradient, 0.1)
    expect_equal(c(n_subjects, n_items, n_responses), c(1000, 5, 5000))
    expect_equal(n_parameters, 10)
    expect_equal(aic, 5337.610, tolerance = 1e-6)
    expect_equal(bic, 5386.688, tolerance = 1e-6)
    expect_length(notices, 0)
  })
  worse <- change(fit$parameters, "a", fit$parameters$a + 0.3)
  expect_gt(max_gradient(log_posterior_gradient(x, worse, "2PL"), "2PL"), 5)
})

test_that("standard errors are those of the information matrix", {
  skip_without_mirt()
  x <- lsat7()
  for (model in c("2PL", "4PL")) {
    prior <- if (model == "4PL") "weak" else "none"
    fit <- fit_mirt(x, model, prior, standard_errors = TRUE, tolerance = 1e-6)
    p <- fit$parameters
    beta <- free_beta(p, model)
    columns <- colnames(beta)
    gradient <- \(values) {
      q <- p
      q[columns] <- matrix(values, 5)
      for (name in setdiff(columns, c("a", "d"))) {
        q[[name]] <- plogis(q[[name]])
      }
      as.vector(log_posterior_gradient(x, q, model, prior))
    }
    information <- -vapply(
      seq_along(beta),
      \(index) {
        step <- replace(0 * as.vector(beta), index, 1e-4)
        (gradient(beta + step) - gradient(beta - step)) / 2e-4
      },
      numeric(length(beta))
    )
    expected <- matrix(sqrt(diag(solve(information))), 5)
    if (model == "4PL") {
      expected[, 3] <- expected[, 3] * p$g * (1 - p$g)
      expected[, 4] <- expected[, 4] * p$u * (1 - p$u)
    }
    actual <- as.matrix(p[paste0("se_", columns)])
    expect_equal(unname(actual), expected, tolerance = 1e-3)
  }
})

test_that("every model reaches its maximum, with and without priors", {
  skip_without_mirt()
  x <- lsat7()
  previous <- -Inf
  for (model in c("1PL", "2PL", "3PL")) {
    fit <- fit_mirt(x, model, "none")
    expect_true(fit$record$converged)
    expect_gt(fit$record$log_likelihood, previous)
    previous <- fit$record$log_likelihood
    weak <- fit_mirt(x, model, "weak")$record
    expect_lt(weak$max_gradient, 0.1)
    expect_lt(weak$log_likelihood, previous)
    expect_identical(weak$prior_values, weak_priors())
  }
  common <- fit_mirt(x, "1PL", "none")
  expect_equal(common$parameters$a, rep(1.011, 5), tolerance = 1e-3)
  expect_length(unique(common$parameters$a), 1)
  expect_equal(common$record$n_parameters, 6)
  expect_identical(fit_mirt(x, "3PL")$record$prior, "weak")
})

test_that("odd parameters are named", {
  p <- make_parameters(c(-1, 9, 40), 0, c(1e-9, 0.1, 0.1), c(0.9, 0.9999, 0.9))
  odd <- lapply(flagged_items(p, free_beta(p, "4PL")), unclass)
  expect_identical(
    odd,
    list(
      negative_slopes = "i1",
      steep_slopes = c("i2", "i3"),
      items_at_bounds = c("i1", "i2"),
      ran_off = c("i3 a", "i1 g")
    )
  )
  none <- make_parameters(1, 0)
  expect_true(all(lengths(flagged_items(none, free_beta(none, "2PL"))) == 0))
})

test_that("missing cells weigh nothing", {
  skip_without_mirt()
  p <- make_parameters(c(1, 1.5, 0.8, 1.2, 2, -1), c(0, 1, -1, 0.5, 0, 0))
  x <- draw_answers(p, 500, missing = 0.3)
  fit <- fit_mirt(x)
  with(fit$record, {
    expect_true(converged)
    expect_lt(abs(log_likelihood - log_likelihood_mirt), 1e-6)
    expect_identical(n_responses, sum(!is.na(x)))
    expect_identical(unclass(negative_slopes), "i6")
  })
})

test_that("a fit far from the maximum has not converged", {
  skip_without_mirt()
  x <- lsat7()
  record <- fit_mirt(x, max_cycles = 1)$record
  expect_false(record$converged)
  expect_match(record$notices, "terminated after 1 iteration")
  expect_user_error(check_converged(record, "f"), "^f: the 2PL fit has not ")
  # mirt is content with a tolerance that is far too large.
  record <- fit_mirt(x, "4PL", "none", tolerance = 0.5)$record
  expect_true(record$converged_mirt)
  expect_false(record$converged)
  expect_match(record$notices, "mirt reports convergence, but", all = FALSE)
})

test_that("an exploratory fit has loadings and improves on one dimension", {
  skip_without_mirt()
  p <- cbind(
    make_parameters(rep(1, 8), 0),
    a1 = rep(c(2, 0), each = 4),
    a2 = rep(c(0, 2), each = 4)
  )
  x <- local({
    set.seed(1)
    theta <- matrix(rnorm(2000), ncol = 2)
    1L * (matrix(runif(8000), ncol = 8) < t(item_curves(p, theta)$right))
  })
  dimnames(x) <- list(sprintf("s%d", 1:1000), p$item)
  fit <- fit_mirt(x, dimensions = 2, quadrature = 15)
  one <- fit_mirt(x)$record
  with(fit$record, {
    expect_equal(log_likelihood, log_likelihood_mirt, tolerance = 1e-6)
    expect_gt(log_likelihood, one$log_likelihood + 50)
    expect_equal(n_parameters, 8 * 3 - 1)
  })
  expect_silent(check_table(fit$parameters, "parameters", "f"))
  strong <- abs(matrix(fit$loadings$loading, 8)) > 0.5
  expect_true(all(rowSums(strong) == 1))
  expect_true(all(strong[1:4, ] == rep(strong[1, ], each = 4)))
  expect_user_error(fit_mirt(x, "3PL", dimensions = 2), "needs --model 2PL")
})

test_that("without mirt the message says what to do", {
  local_mocked <- check_mirt
  body(local_mocked)[[2]][[2]] <- TRUE
  expect_user_error(
    local_mocked(),
    "install.packages.*--engine native', which needs no R"
  )
})

# ---- Stage -------------------------------------------------------------------

test_that("the stage calibrates a training table", {
  skip_without_mirt()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  x <- cbind(lsat7(), constant = 1L)
  fold <- rep(c(1L, NA), 500)
  save_training(x, fold, rep(50, 1000), path("t"))
  stage <- \(...) {
    run_script(
      "fit_irt.R",
      "--responses",
      path("t"),
      "--out",
      path("out"),
      "--record",
      path("rec"),
      ...
    )
  }
  expect_identical(
    stage(),
    list(
      status = 0L,
      stdout = "",
      stderr = "dropped 1 constant items: constant"
    )
  )
  fit <- fit_mirt(x[!is.na(fold), 1:5], standard_errors = TRUE)
  expect_equal(read_table(path("out"), "parameters"), fit$parameters)
  record <- jsonlite::read_json(path("rec"))
  expect_identical(
    record$constant_items_dropped,
    list("constant")
  )
  expect_equal(record$log_likelihood, fit$record$log_likelihood)
  expect_identical(c(record$n_subjects, record$seed), c(500L, 1L))

  unlink(path("out"))
  end <- stage("--max-iterations", "1")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "fit_irt: error: .* has not converged")
  expect_false(file.exists(path("out")))
  end <- stage(
    "--max-iterations",
    "1",
    "--allow-unconverged",
    "--no-standard-errors"
  )
  expect_identical(end$status, 0L)
  expect_named(
    read_table(path("out"), "parameters"),
    c("item", "a", "d", "g", "u")
  )
  end <- stage("--constant-items", "refuse")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "1 items have only right.*: constant")
  end <- stage("--dimensions", "2")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "give --loadings with --dimensions 2 or more")
})
