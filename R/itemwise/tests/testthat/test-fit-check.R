# Ten items that follow their parameters, and subjects with true abilities.
simulated <- function(n = 400, missing = 0, seed = 1) {
  set.seed(seed)
  parameters <- data.frame(
    item = sprintf("i%02d", 1:10),
    a = runif(10, 0.7, 2),
    d = rnorm(10),
    g = rep(c(0, 0.2), 5),
    u = 1
  )
  theta <- rnorm(n)
  right <- item_curves(parameters, cbind(theta))$right
  x <- t(1L * (matrix(runif(10 * n), 10) < right))
  x[runif(length(x)) < missing] <- NA
  dimnames(x) <- list(sprintf("s%d", seq_len(n)), parameters$item)
  list(responses = x, parameters = parameters, theta = theta)
}

test_that("infit, outfit and Zh are mirt's", {
  skip_without_mirt()
  data <- with(simulated(), list(x = responses, p = parameters, theta = theta))
  # mirt alters very small variances, except in Zh; we do not.
  cells <- answer_residuals(data$x, data$p, data$theta)
  plain <- apply(cells$variance > 0.011, 1, all)
  expect_gt(sum(plain), 300)
  data$x <- data$x[plain, ]
  data$theta <- data$theta[plain]
  cells <- answer_residuals(data$x, data$p, data$theta)
  model <- fixed_mirt(data$p, responses = data$x)
  theta <- cbind(data$theta)
  persons <- mirt::personfit(model, Theta = theta)
  ours <- mean_squares(cells, rowSums)
  expect_equal(ours$outfit, persons$outfit, tolerance = 1e-6)
  expect_equal(ours$infit, persons$infit, tolerance = 1e-6)
  expect_equal(ours$z_outfit, persons$z.outfit, tolerance = 1e-6)
  expect_equal(ours$z_infit, persons$z.infit, tolerance = 1e-6)
  expect_equal(person_fit_zh(data$x, cells), persons$Zh, tolerance = 1e-6)

  items <- mirt::itemfit(model, fit_stats = "infit", Theta = theta)
  ours <- mean_squares(cells, colSums)
  expect_equal(ours$outfit, items$outfit, tolerance = 1e-6)
  expect_equal(ours$infit, items$infit, tolerance = 1e-6)
  expect_equal(ours$z_outfit, items$z.outfit, tolerance = 1e-6)
  expect_equal(ours$z_infit, items$z.infit, tolerance = 1e-6)
})

test_that("Q3 is mirt's", {
  skip_without_mirt()
  data <- simulated()
  cells <- answer_residuals(data$responses, data$parameters, data$theta)
  model <- fixed_mirt(data$parameters, responses = data$responses)
  expected <- mirt::residuals(
    model,
    type = "Q3",
    Theta = cbind(data$theta),
    verbose = FALSE
  )
  off <- upper.tri(expected)
  expect_equal(q3(cells)[off], expected[off], tolerance = 1e-6)
})

test_that("a missing cell only leaves its own terms out", {
  data <- simulated(missing = 0.3)
  x <- data$responses
  cells <- answer_residuals(x, data$parameters, data$theta)
  there <- which(!is.na(x[7, ]))
  alone <- answer_residuals(
    x[7, there, drop = FALSE],
    data$parameters[there, ],
    data$theta[7]
  )
  expect_equal(
    as.list(mean_squares(cells, rowSums)[7, ]),
    as.list(mean_squares(alone, rowSums))
  )
  expect_equal(
    person_fit_zh(x, cells)[7],
    person_fit_zh(x[7, there, drop = FALSE], alone)
  )
  both <- !is.na(x[, 1]) & !is.na(x[, 2])
  expect_equal(
    q3(cells)[1, 2],
    cor(cells$residual[both, 1], cells$residual[both, 2])
  )
})

test_that("under the model the statistics have their distributions", {
  skip_without_clone()
  data <- simulated(4000)
  cells <- answer_residuals(data$responses, data$parameters, data$theta)
  persons <- person_fit(data$responses, cells, "b")
  items <- item_fit(data$responses, cells, "b")
  expect_silent(check_table(persons, "person_fit", "f"))
  expect_silent(check_table(items, "item_fit", "f"))
  p <- persons$p_value[persons$statistic == "Zh"]
  # With true abilities Zh has mean 0 and variance 1 exactly, and a left tail.
  expect_lt(abs(mean(person_fit_zh(data$responses, cells))), 4 / sqrt(4000))
  expect_lt(abs(sd(person_fit_zh(data$responses, cells)) - 1), 0.05)
  expect_lt(abs(mean(p < 0.05) - 0.05), 0.03)
  expect_lt(max(abs(mean_squares(cells, colSums)$z_infit)), 4)
  about <- describe_q3(q3(cells))
  expect_identical(about$pairs, 45L)
  expect_identical(about$above_0.2, 0L)
})

test_that("careless subjects and twin items are found", {
  data <- simulated(1000)
  x <- data$responses
  x[1:50, ] <- t(apply(x[1:50, ], 1, \(answers) 1L - answers))
  x[, 2] <- x[, 1]
  cells <- answer_residuals(x, data$parameters, data$theta)
  value <- person_fit_zh(x, cells)
  expect_lt(mean(value[1:50]), mean(value[51:1000]) - 0.5)
  about <- describe_q3(q3(cells), limit = 3)
  expect_identical(nrow(about$largest), 3L)
  expect_identical(
    c(about$largest$first[1], about$largest$second[1]),
    c("i01", "i02")
  )
  expect_gt(about$above_0.2, 0)
})

test_that("S-X2 and M2 of LSAT7 are as published in mirt's manual", {
  skip_without_mirt()
  x <- lsat7()
  p <- fit_mirt(x, "2PL", tolerance = 1e-6)$parameters
  fit <- s_x2(x, p)
  expect_equal(
    fit$value,
    c(4.749, 14.453, 1.270, 5.237, 0.941),
    tolerance = 1e-3
  )
  expect_equal(fit$df, rep(2, 5))
  expect_equal(
    fit$p_value,
    pchisq(fit$value, fit$df, lower.tail = FALSE)
  )
  whole <- m2(x, p)
  expect_equal(whole$m2, 11.93769, tolerance = 1e-3)
  expect_equal(whole$df, 5)
  expect_gt(whole$cfi, 0.9)
  expect_equal(m2(x, p, estimated = FALSE)$df, 15)
})

test_that("models are compared by the usual criteria", {
  skip_without_mirt()
  table <- compare_models(lsat7(), c("1PL", "2PL"))
  expect_identical(table$model, c("1PL", "2PL"))
  expect_equal(
    table$aic,
    2 * table$n_parameters - 2 * table$log_likelihood
  )
  expect_true(all(table$converged))
})

test_that("subjects and items are matched", {
  data <- simulated(120)
  x <- data$responses
  abilities <- data.frame(subject = rownames(x), theta = data$theta)
  expect_identical(
    known_abilities(x, data$parameters, abilities[120:1, ]),
    data$theta
  )
  expect_identical(
    is.na(known_abilities(x, data$parameters, abilities[-3, ])),
    seq_len(120) == 3
  )
  expect_user_error(
    known_abilities(x, data$parameters, rbind(abilities, abilities[1, ])),
    "subject 's1' has several abilities"
  )
  expect_user_error(
    known_abilities(x, data$parameters, change(abilities, "subject", "z")[1, ]),
    "no subject of the responses has an ability"
  )
  expect_message(
    few <- calibrated_responses(x, data$parameters[1:4, ]),
    "left out 6 items"
  )
  expect_identical(few, x[, 1:4])
  expect_user_error(
    calibrated_responses(x, data$parameters[1, ]),
    "1 of its items occur"
  )
  expect_identical(complete_responses(x), x)
  x[1:30, 1] <- NA
  expect_null(complete_responses(x))
})

test_that("the stage writes fit tables and a record", {
  skip_without_mirt()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  data <- simulated(300)
  x <- data$responses
  write_table(data.frame(subject = rownames(x), x), path("r"), "responses")
  write_table(data$parameters, path("p"), "parameters")
  stage <- \(...) {
    run_script(
      "check_fit.R",
      "--responses",
      path("r"),
      "--parameters",
      path("p"),
      "--benchmark",
      "b",
      "--item-fit",
      path("i"),
      "--person-fit",
      path("pf"),
      "--record",
      path("rec"),
      ...
    )
  }
  end <- stage("--new-subjects")
  expect_identical(end, list(status = 0L, stdout = "", stderr = ""))
  items <- read_table(path("i"), "item_fit")
  expect_setequal(items$statistic, c("outfit", "infit", "S_X2", "RMSEA_S_X2"))
  persons <- read_table(path("pf"), "person_fit")
  expect_identical(nrow(persons), 900L)
  record <- jsonlite::read_json(path("rec"))
  expect_identical(record$m2$df, 55L)
  expect_lt(record$m2$rmsea, 0.05)
  expect_gt(record$m2$p_value, 0.001)
  expect_length(record$notices, 0)

  write_table(
    data.frame(
      subject = rownames(x),
      theta = data$theta,
      se = 0.3,
      method = "MAP"
    ),
    path("a"),
    "abilities"
  )
  end <- stage(
    "--abilities",
    path("a"),
    "--m2-items",
    "5",
    "--no-s-x2",
    "--compare",
    "1PL,2PL"
  )
  expect_identical(end$status, 0L)
  record <- jsonlite::read_json(path("rec"))
  expect_match(record$notices[[1]], "M2 left out: 10 items are more than")
  expect_null(record$m2)
  expect_length(record$comparison, 2)
  end <- stage("--compare", "2PL,5PL")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "--compare: no model 5PL")
})
