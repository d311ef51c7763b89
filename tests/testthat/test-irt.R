skip_without_mirt <- function() {
  skip_if_not_installed("mirt")
}

# The five items of the Law School Admission Test, section 7.
lsat7 <- function() {
  x <- as.matrix(mirt::expand.table(mirt::LSAT7))
  storage.mode(x) <- "integer"
  rownames(x) <- sprintf("s%04d", seq_len(nrow(x)))
  x
}

make_parameters <- function(a, d, g = 0, u = 1) {
  data.frame(
    item = sprintf("i%d", seq_along(a)),
    a = a,
    d = d,
    g = g,
    u = u
  )
}

draw_answers <- function(parameters, n, missing = 0, seed = 1) {
  set.seed(seed)
  curves <- item_curves(parameters, cbind(rnorm(n)))
  x <- t(1L * (matrix(runif(n * nrow(parameters)), ncol = n) < curves$right))
  x[runif(length(x)) < missing] <- NA
  dimnames(x) <- list(sprintf("s%d", seq_len(n)), parameters$item)
  x
}

# The published responses and estimates of a form of a benchmark.
published <- function(form) {
  folder <- Sys.getenv("ITEMWISE_DATA", file.path(root, "../shared/data"))
  path <- \(what) {
    file.path(folder, "leaderboard", paste0(form, ".", what, ".parquet"))
  }
  if (!file.exists(path("mirt-items"))) {
    skip("published estimates not there (ITEMWISE_DATA)")
  }
  parameters <- read_table(path("mirt-items"), "parameters")
  x <- responses_matrix(read_table(path("responses"), "responses"))
  list(responses = x[, parameters$item], parameters = parameters)
}

numeric_gradient <- function(objective, at, step = 1e-4) {
  vapply(
    seq_along(at),
    \(index) {
      change <- replace(0 * at, index, step)
      (objective(at + change) - objective(at - change)) / (2 * step)
    },
    numeric(1)
  )
}

# ---- Priors ------------------------------------------------------------------

test_that("the weak priors are those of the native engine's file", {
  expect_identical(names(weak_priors()), c("a", "d", "g", "u"))
  expect_equal(weak_priors()$g, c(-3, 4))
  expect_identical(mirt_syntax("2PL", "none", 7), "F = 1-7")
  expect_identical(
    mirt_syntax("3PL", "weak", 5),
    paste0(
      "F = 1-5\nPRIOR = (1-5, a1, norm, 4, 10), (1-5, d, norm, 0, 30), ",
      "(1-5, g, norm, -3, 4)"
    )
  )
  expect_match(
    mirt_syntax("1PL", "weak", 4),
    "CONSTRAIN = (1-4, a1)",
    fixed = TRUE
  )
  expect_match(
    mirt_syntax("1PL", "weak", 4),
    "(1-4, a1, norm, 4, 10)",
    fixed = TRUE
  )
})

test_that("the log prior by hand is mirt's, with norm on the logits", {
  skip_without_mirt()
  # Before the last cycle, of which mirt's own prior term is, hardly differs.
  fit <- fit_mirt(lsat7(), "4PL", "weak", tolerance = 1e-7)
  beta <- free_beta(fit$parameters, "4PL")
  by_hand <- vapply(
    colnames(beta),
    \(name) {
      moments <- weak_priors()[[name]]
      sum(dnorm(beta[, name], moments[1], moments[2], log = TRUE))
    },
    numeric(1)
  )
  expect_equal(
    sum(by_hand),
    mirt::extract.mirt(fit$model, "logPrior"),
    tolerance = 1e-6
  )
  constant <- -nrow(beta) *
    sum(log(
      sqrt(2 * pi) *
        vapply(weak_priors(), `[`, numeric(1), 2)
    ))
  expect_equal(log_prior(beta, "weak", "4PL") + constant, sum(by_hand))
  with(
    fit$record,
    expect_equal(
      log_posterior,
      log_likelihood + log_prior(beta, "weak", "4PL")
    )
  )
  # The prior of the 1PL's one slope counts once, for mirt and for us.
  fit <- fit_mirt(lsat7(), "1PL", "weak", tolerance = 1e-7)
  p <- fit$parameters
  by_hand <- dnorm(p$a[1], 4, 10, log = TRUE) +
    sum(dnorm(p$d, 0, 30, log = TRUE))
  expect_equal(
    by_hand,
    mirt::extract.mirt(fit$model, "logPrior"),
    tolerance = 1e-6
  )
  constant <- dnorm(0, sd = 10, log = TRUE) + 5 * dnorm(0, sd = 30, log = TRUE)
  expect_equal(
    log_prior(free_beta(p, "1PL"), "weak", "1PL") + constant,
    by_hand
  )
  expect_lt(fit$record$max_gradient, 1e-3)
})

# ---- Likelihood --------------------------------------------------------------

test_that("the log-likelihood is that of the plain formula", {
  p <- make_parameters(c(1, -2, 30), c(0, 1, -5), c(0, 0.2, 0), c(1, 0.9, 1))
  x <- rbind(c(1, 0, 1), c(0, NA, 1), c(NA, NA, 0))
  theta <- seq(-6, 6, length.out = 41)
  weight <- dnorm(theta) / sum(dnorm(theta))
  plain <- sum(log(apply(x, 1, \(answers) {
    sum(
      weight *
        vapply(
          theta,
          \(at) {
            right <- p$g + (p$u - p$g) * plogis(p$a * at + p$d)
            prod(ifelse(answers == 1, right, 1 - right), na.rm = TRUE)
          },
          numeric(1)
        )
    )
  })))
  expect_equal(marginal_log_likelihood(x, p, 41), plain)
})

test_that("thousands of items do not underflow", {
  p <- make_parameters(rep(2, 4000), seq(-3, 3, length.out = 4000))
  x <- draw_answers(p, 3)
  value <- marginal_log_likelihood(x, p)
  expect_true(is.finite(value) && value < -1500)
})

test_that("published log-likelihoods follow from published estimates", {
  log_likelihood <- c(
    arc_secondary = -120279.2,
    gsm8k_secondary = -409894.4,
    arc_primary = -189889.5,
    gsm8k_primary = -382224.5
  )
  for (form in names(log_likelihood)) {
    data <- published(form)
    value <- marginal_log_likelihood(data$responses, data$parameters, 61)
    expect_lt(abs(value - log_likelihood[[form]]), 0.1)
  }
})

test_that("the published 4PL is far from the maximum, the 2PL is not", {
  data <- published("arc_primary")
  gradient <- log_posterior_gradient(data$responses, data$parameters, "4PL")
  expect_gt(max_gradient(gradient, "4PL"), 100)
  data <- published("gsm8k_secondary")
  gradient <- log_posterior_gradient(data$responses, data$parameters, "2PL")
  expect_lt(max_gradient(gradient, "2PL"), 0.2)
})

test_that("the gradient is the numerical one, with missing cells and priors", {
  full <- make_parameters(c(1, -0.5, 2), c(0, 1, -1), c(0.1, 0.2, 0.05), 0.9)
  x <- draw_answers(full, 60, missing = 0.2)
  for (model in c("2PL", "3PL", "4PL")) {
    p <- full
    if (model == "2PL") {
      p$g <- 0
    }
    if (model != "4PL") {
      p$u <- 1
    }
    beta <- free_beta(p, model)
    objective <- \(beta) {
      q <- p
      for (name in colnames(beta)) {
        asymptote <- name %in% c("g", "u")
        q[[name]] <- if (asymptote) plogis(beta[, name]) else beta[, name]
      }
      marginal_log_likelihood(x, q) + log_prior(beta, "weak", model)
    }
    gradient <- log_posterior_gradient(x, p, model, "weak")
    expect_equal(
      as.vector(gradient),
      numeric_gradient(objective, beta),
      tolerance = 1e-6
    )
  }
  p <- change(change(full, "g", 0), "u", 1)
  common <- \(a) marginal_log_likelihood(x, change(p, "a", a))
  gradient <- log_posterior_gradient(x, change(p, "a", 1), "1PL")
  expect_equal(
    sum(gradient[, "a"]),
    numeric_gradient(common, 1),
    tolerance = 1e-6
  )
  expect_gte(max_gradient(gradient, "1PL"), abs(sum(gradient[, "a"])))
})

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
  odd <- lapply(odd_items(p, free_beta(p, "4PL")), unclass)
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
  expect_true(all(lengths(odd_items(none, free_beta(none, "2PL"))) == 0))
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

# ---- Data and options --------------------------------------------------------

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

test_that("only screened items are used", {
  x <- cbind(i1 = 1:0, i2 = 0:1)
  expect_identical(
    screened_items(x, data.frame(item = c("i2", "i1"), keep = 1:0)),
    x[, "i2", drop = FALSE]
  )
  expect_user_error(screened_items(x, data.frame(item = "i1")), "'keep'")
  expect_user_error(
    screened_items(x, data.frame(item = "i9", keep = 1L)),
    "no column: i9"
  )
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
  expect_identical(
    take_flags(c("--a", "x", "--yes-sir", "--b=1"), c("yes-sir", "no")),
    list(args = c("--a", "x", "--b=1"), given = c(yes_sir = TRUE, no = FALSE))
  )
})

# ---- Scoring -----------------------------------------------------------------

test_that("scores are mirt's own where it estimated the parameters", {
  skip_without_mirt()
  x <- lsat7()[seq(1, 1000, 40), ]
  fit <- fit_mirt(lsat7())
  for (method in c("MAP", "EAP", "EAPsum", "ML")) {
    scores <- score_mirt(x, fit$parameters, method)
    expected <- mirt::fscores(
      fit$model,
      method = method,
      full.scores.SE = TRUE,
      quadpts = 61
    )[seq(1, 1000, 40), ]
    expected[!is.finite(expected)] <- NA
    expect_equal(scores$theta, unname(expected[, 1]), tolerance = 1e-5)
    known <- !is.na(scores$theta)
    expect_equal(
      scores$se[known],
      unname(expected[known, 2]),
      tolerance = 1e-5
    )
    expect_identical(scores$subject, rownames(x))
    expect_silent(check_table(scores, "abilities", "f"))
  }
})

test_that("scores with missing cells follow from the posterior", {
  skip_without_mirt()
  p <- make_parameters(c(1, -2, 3), c(0, 1, 1), c(0, 0.2, 0), c(1, 0.9, 1))
  x <- rbind(
    s1 = c(1L, 0L, NA),
    s2 = c(1L, 1L, 1L),
    s3 = c(0L, NA, NA),
    s4 = c(1L, 0L, 1L)
  )
  colnames(x) <- p$item
  posterior <- visit_subjects(
    x,
    p,
    normal_grid(61),
    \(right, wrong, joint, marginal) exp(joint - marginal)
  )[[1]]
  theta <- drop(posterior %*% normal_grid(61)$nodes)
  second <- drop(posterior %*% normal_grid(61)$nodes^2)
  scores <- score_mirt(x[, 3:1], p, "EAP")
  expect_equal(scores$theta, unname(theta), tolerance = 1e-6)
  expect_equal(scores$se, unname(sqrt(second - theta^2)), tolerance = 1e-6)
  expect_message(
    sums <- score_mirt(x, p, "EAPsum"),
    "2 of 4 subjects .*use --method EAP"
  )
  expect_identical(is.na(sums$theta), c(TRUE, FALSE, TRUE, FALSE))
  expect_identical(is.na(score_mirt(x, p, "ML")$theta[3]), TRUE)
  expect_user_error(score_mirt(x[, 1:2], p), "1 items .* no column: i3")
  expect_user_error(score_mirt(rbind(x, s5 = NA), p), "answered none .*: s5")
})

test_that("published abilities follow from published estimates", {
  skip_without_mirt()
  data <- published("gsm8k_secondary")
  folder <- Sys.getenv("ITEMWISE_DATA", file.path(root, "../shared/data"))
  theta <- nanoparquet::read_parquet(
    file.path(folder, "leaderboard/gsm8k_secondary.mirt-theta.parquet")
  )
  scores <- score_mirt(data$responses, data$parameters, "EAPsum")
  at <- match(scores$subject, theta$subject)
  expect_lt(max(abs(scores$theta - theta$theta[at])), 1e-6)
})

# ---- Stage -------------------------------------------------------------------

test_that("the stage calibrates training subjects and screened items", {
  skip_without_mirt()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  x <- cbind(lsat7(), constant = 1L, out = rep(0:1, 500))
  set <- rep(c("train", "test"), 500)
  write_table(data.frame(subject = rownames(x), x), path("r"), "responses")
  write_table(
    data.frame(
      benchmark = "b",
      item = colnames(x),
      keep = c(rep(1L, 6), 0L)
    ),
    path("i"),
    "items"
  )
  write_table(
    data.frame(subject = rownames(x), set = set, fold = NA),
    path("s"),
    "splits"
  )
  stage <- \(...) {
    run_script(
      "fit_irt.R",
      "--responses",
      path("r"),
      "--items",
      path("i"),
      "--splits",
      path("s"),
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
  fit <- fit_mirt(x[set == "train", 1:5], standard_errors = TRUE)
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
