smooth <- parse_formula("full_score ~ s(theta, k = 15)")

# Full scores around a known curve with noise of a known size, in points.
truth <- \(theta) 100 * (0.25 + 0.6 * plogis(1.5 * theta))
noise <- 2

simulate <- function(n, seed, theta = NULL) {
  set.seed(seed)
  if (is.null(theta)) {
    theta <- rnorm(n)
  }
  data.frame(
    subject = sprintf("s%04d", seq_len(n)),
    theta = theta,
    se = 0.2,
    full_score = pmin(pmax(truth(theta) + rnorm(n, sd = noise), 0), 100),
    set = rep(c("train", "test"), c(ceiling(n / 2), floor(n / 2))),
    fold = ifelse(seq_len(n) <= ceiling(n / 2), rep_len(1:10, n), NA)
  )
}

test_that("a known curve is recovered and intervals cover at their level", {
  data <- simulate(2000, 1)
  for (level in c(0.5, 0.9)) {
    fit <- fit_readout(in_set(data, "train"), smooth, level)
    about <- describe_readout(fit)
    others <- predict_others(fit, in_set(data, "test"))
    for (found in list(about$cross_fitted, accuracy(others))) {
      # Four standard errors of an rmse and of a binomial share over 1,000.
      expect_lt(abs(found$rmse - noise), 4 * noise / sqrt(2000))
      expect_lt(
        abs(found$coverage - level),
        4 * sqrt(level * (1 - level) / 1000)
      )
    }
    error <- others$predicted - truth(others$theta)
    expect_lt(sqrt(mean(error^2)), noise / 4)
  }
  expect_identical(about$n_train, 1000L)
  expect_gt(about$deviance_explained, 0.9)
  expect_gt(about$cross_fitted$spearman, 0.9)
})

test_that("metabench's smooth reads a known curve as well", {
  spline <- parse_formula("full_score ~ s(theta, bs = 'ad', k = 40)")
  data <- simulate(1000, 5)
  fit <- fit_readout(in_set(data, "train"), spline)
  expect_lt(rmse_of(fit, in_set(data, "test")), 1.15 * noise)
})

test_that("intervals are wider where errors are larger", {
  data <- simulate(2000, 2)
  high <- data$theta > 0
  set.seed(3)
  data$full_score <- pmin(
    pmax(truth(data$theta) + rnorm(2000, sd = ifelse(high, 6, 1)), 0),
    100
  )
  fit <- fit_readout(in_set(data, "train"), smooth)
  others <- predict_others(fit, in_set(data, "test"))
  width <- others$upper - others$lower
  expect_gt(
    median(width[others$theta > 1]),
    2 * median(width[others$theta < -1])
  )
  for (part in split(others, others$theta > 0)) {
    expect_lt(abs(accuracy(part)$coverage - 0.9), 0.05)
  }
})

test_that("no training subject is predicted by a model that has seen it", {
  data <- in_set(simulate(400, 3), "train")
  before <- fit_readout(data, smooth)$predictions
  data$full_score[1] <- data$full_score[1] - 25
  after <- fit_readout(data, smooth)$predictions
  # The first subject enters every model but that of its own fold.
  own <- data$fold == data$fold[1]
  expect_identical(after$predicted[own], before$predicted[own])
  expect_true(all(after$predicted[!own] != before$predicted[!own]))
})

test_that("predictions do not extrapolate", {
  data <- in_set(simulate(800, 4), "train")
  reached <- range(data$theta)
  ends <- data.frame(
    theta = c(-50, 50, reached[2]),
    se = c(0.2, 9, 0.2),
    full_score = 50
  )
  both <- parse_formula("full_score ~ s(theta, k = 15) + se")
  data$se <- seq(0.1, 0.3, length.out = 400)
  for (formula in list(smooth, both)) {
    end <- predict_others(fit_readout(data, formula), ends)
    expect_gt(end$predicted[1], min(data$full_score) - noise)
    expect_lt(end$predicted[2], max(data$full_score) + noise)
  }
  end <- predict_others(fit_readout(data, smooth), ends)
  expect_identical(end$predicted[2], end$predicted[3])
})

test_that("formulas that cannot be tabulated faithfully are refused", {
  for (bad in c("s(theta) - 1", "s(theta) + offset(se)")) {
    text <- paste("full_score ~", bad)
    expect_user_error(parse_formula(text), "takes neither '- 1' nor offset")
  }
  expect_user_error(
    parse_formula("full_score ~ linear", "theta", "--form-formula"),
    "--form-formula .* unknown variable linear; use theta"
  )
})

test_that("predictions and intervals stay between 0 and 100", {
  data <- in_set(simulate(800, 6), "train")
  data$full_score <- pmin(pmax(300 * (data$theta), 0), 100)
  fit <- fit_readout(data, smooth)$predictions
  expect_true(all(fit$predicted >= 0 & fit$predicted <= 100))
  expect_true(all(fit$lower <= fit$predicted & fit$predicted <= fit$upper))
  expect_true(all(fit$lower >= 0 & fit$upper <= 100))
  perfect <- data
  perfect$full_score <- 50
  expect_equal(fit_readout(perfect, smooth)$predictions$predicted, rep(50, 400))
})

test_that("the conformal quantile is the right order statistic", {
  expect_identical(conformal_quantile(c(3, 1, 2, 4), 0.5), 3)
  expect_identical(conformal_quantile(as.double(9:1), 0.9), 9)
  expect_identical(conformal_quantile(as.double(1:8), 0.9), Inf)
})

test_that("the accuracy is that computed by hand", {
  expect_equal(
    accuracy(data.frame(
      full_score = c(10, 20, 30),
      predicted = c(13, 16, 30),
      lower = c(9, 10, 31),
      upper = c(15, 20, 32)
    )),
    list(
      n = 3L,
      rmse = sqrt(25 / 3),
      mae = 7 / 3,
      spearman = 1,
      coverage = 2 / 3,
      mean_width = 17 / 3
    )
  )
})

test_that("formulas are checked before anything is fitted", {
  expect_user_error(parse_formula("full_score ~ s(theta"), "is not a formula")
  expect_user_error(parse_formula("stop('x')"), "is not a formula")
  expect_user_error(parse_formula("~ theta"), "is not a formula full_score ~")
  expect_user_error(parse_formula("theta ~ se"), "is not a formula full_score")
  expect_user_error(
    parse_formula("full_score ~ s(theta) + size", c("theta", "se")),
    "unknown variable size; use theta, se"
  )
  adaptive <- parse_formula("full_score ~ s(theta, bs = 'ad', k = 40)")
  few <- simulate(120, 1, rep_len(1:5, 120))
  expect_user_error(
    fit_readout(in_set(few, "train"), adaptive),
    "cannot be fitted to .* training subjects .*choose a smaller k"
  )
  odd <- parse_formula("full_score ~ te(theta, se, bs = c('cr', 'zz'))")
  expect_user_error(
    fit_gam(odd, simulate(120, 1)),
    "; mgcv has no basis 'zz': choose one that \\?mgcv::smooth.terms lists"
  )
})

test_that("inputs that do not meet are user errors with a remedy", {
  skip_without_clone()
  data <- simulate(200, 1)
  ability <- data.frame(
    data[c("subject", "theta", "se")],
    form = "A",
    method = "MAP"
  )
  score <- data.frame(data[c("subject", "full_score")], benchmark = "arc")
  training <- list(
    responses = matrix(1L, 100, 1, dimnames = list(data$subject[1:100], "i")),
    fold = data$fold[1:100],
    full_score = replace(data$full_score[1:100], 7, NA)
  )
  kept <- readout_data(ability, training)
  expect_setequal(kept$subject, data$subject[setdiff(1:100, 7)])
  expect_identical(unique(kept$set), "train")
  expect_user_error(benchmark_scores(score, "gsm"), "only holds arc; choose")
  expect_user_error(
    readout_data(ability[1:20, ], training),
    "19 training models .* by form 'A'; a read-out needs at least 20: add"
  )
  expect_user_error(
    readout_data(ability, change(training, "fold", rep(1L, 100))),
    "need at least 2 folds"
  )
  two <- rbind(ability, change(ability, "method", "EAP"))
  expect_user_error(one_method(two), "abilities by MAP, EAP; choose one by")
  expect_user_error(one_method(two, "ML"), "only holds MAP, EAP")
  expect_identical(unique(one_method(two, "EAP")$method), "EAP")
  expect_identical(unique(one_method(ability[-4])$form), "pool")
  expect_user_error(by_form(ability, "B"), "no abilities for form B")
  selection <- data.frame(benchmark = c("arc", "arc", "gsm"), form = "A")
  expect_identical(form_lengths(selection, "arc", "A"), c(A = 2L))
  expect_user_error(
    form_lengths(selection, "arc", c("A", "pool")),
    "for form pool; give the"
  )
})

test_that("the stage reads out every form", {
  skip_without_clone()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  data <- simulate(300, 8)
  forms <- lapply(c("A", "B"), \(form) {
    data.frame(data[c("subject", "theta", "se")], form = form, method = "MAP")
  })
  write_table(do.call(rbind, forms), path("a"), "abilities")
  write_table(
    data.frame(
      benchmark = "arc",
      form = c("A", "A", "B"),
      rank = c(1, 2, 1),
      item = c("i1", "i2", "i1"),
      information = NA,
      theta_at_maximum = NA
    ),
    path("n"),
    "selection"
  )
  set.seed(9)
  answers <- cbind(
    i1 = rbinom(300, 1, plogis(data$theta)),
    i2 = rbinom(300, 1, plogis(2 * data$theta))
  )
  rownames(answers) <- data$subject
  answers[5, "i2"] <- NA
  save_training(answers, data$fold, replace(data$full_score, 1, NA), path("t"))
  known <- data.frame(item = c("i1", "i2"), a = c(1, 2), d = 0, g = 0, u = 1)
  write_table(known, path("p"), "parameters")
  stage <- \(...) {
    run_script(
      "fit_readout.R",
      "--abilities",
      path("a"),
      "--selection",
      path("n"),
      "--training",
      path("t"),
      "--parameters",
      path("p"),
      "--form-formula",
      "full_score ~ s(theta, k = 15) + linear",
      "--out",
      path("out"),
      "--out-features",
      path("features"),
      "--out-terms",
      path("terms"),
      "--out-linear",
      path("linear"),
      "--record",
      path("rec"),
      "--formula",
      "full_score ~ s(theta, k = 15)",
      ...
    )
  }
  end <- stage("--benchmark", "arc")
  expect_identical(end, list(status = 0L, stdout = "", stderr = ""))
  out <- read_table(path("out"), "reconstructions")
  # 149 training subjects with a score, two forms, two read-outs.
  expect_identical(nrow(out), 2L * 2L * 149L)
  expect_identical(unique(out$set), "train")
  expect_setequal(out$readout, c("ability", "form"))
  expect_identical(unique(out$n_items[out$form == "A"]), 2L)
  direct <- fit_readout(data[2:150, ], smooth)$predictions
  ability <- out[out$readout == "ability", ]
  expect_equal(ability$predicted[ability$form == "B"], direct$predicted)
  features <- read_table(path("features"), "features")
  expect_identical(
    features$complete[features$form == "A" & features$subject == "s0005"],
    0L
  )
  terms <- read_table(path("terms"), "terms")
  expect_setequal(terms$readout, c("ability", "form"))
  linear <- read_table(path("linear"), "linear_predictors")
  expect_setequal(linear$item[linear$form == "A"], c("(intercept)", "i1", "i2"))
  record <- jsonlite::fromJSON(path("rec"))
  expect_identical(names(record$forms), c("A", "B"))
  expect_identical(record$forms$A$ability$n_train, 149L)
  two <- stage("--benchmark", "arc", "--threads", "2")
  expect_identical(read_table(path("out"), "reconstructions"), out)
  writeLines("{\"optimism\": 2}", path("o"))
  stage("--benchmark", "arc", "--selection-record", path("o"))
  wide <- read_table(path("out"), "reconstructions")
  inner <- wide$lower > 0 & wide$upper < 100 & out$lower > 0 & out$upper < 100
  ratio <- ((wide$upper - wide$lower) / (out$upper - out$lower))[inner]
  expect_setequal(out$readout[inner], c("ability", "form"))
  expect_equal(unique(round(ratio, 6)), 2)

  # Random forms are read out where asked for by name alone.
  stage("--benchmark", "arc")
  before <- read_table(path("out"), "reconstructions")
  drawn <- change(forms[[1]][1:30, ], "form", "random1")
  write_table(do.call(rbind, c(forms, list(drawn))), path("a"), "abilities")
  chosen <- read_table(path("n"), "selection")
  drawn <- change(chosen[chosen$form == "B", ], "form", "random1")
  write_table(rbind(chosen, drawn), path("n"), "selection")
  expect_identical(stage("--benchmark", "arc")$status, 0L)
  expect_identical(read_table(path("out"), "reconstructions"), before)
  expect_identical(
    names(jsonlite::fromJSON(path("rec"))$forms),
    c("A", "B")
  )
  expect_identical(
    stage("--benchmark", "arc", "--forms", "random1")$status,
    0L
  )
  expect_identical(
    unique(read_table(path("out"), "reconstructions")$form),
    "random1"
  )

  end <- stage("--benchmark", "gsm")
  expect_identical(end$status, 2L)
  expect_match(
    end$stderr,
    "^fit_readout: error: --selection: no items of benchmark 'gsm'"
  )
  expect_match(stage("--benchmark", "arc", "--level", "1")$stderr, "--level 1")
})
