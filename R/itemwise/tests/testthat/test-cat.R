# The reference engine of adaptive testing, and how it is called.

bank_of <- function(n, seed) {
  set.seed(seed)
  data.frame(
    item = sprintf("i%02d", seq_len(n)),
    a = stats::rlnorm(n, 0.2, 0.3),
    d = stats::rnorm(n),
    g = 0,
    u = 1
  )
}

rule_of <- function(...) {
  cat_rule(utils::modifyList(
    list(
      limit = 4,
      nodes = 33,
      estimator = "EAP",
      criterion = "MFI",
      max_length = 8,
      randomesque = 1,
      start = 1,
      z = 1.96
    ),
    list(...)
  ))
}

test_that("parameters keep their curves", {
  parameters <- bank_of(5, 1)
  bank <- cat_bank(parameters)
  theta <- 0.7
  ours <- stats::plogis(parameters$a * theta + parameters$d)
  expect_equal(
    stats::plogis(bank[, "a"] * (theta - bank[, "b"])),
    ours,
    tolerance = 1e-12
  )
  parameters$a[2] <- 0
  expect_error(cat_bank(parameters), "i02", class = "user_error")
})

test_that("a spread start asks what tells most at each ability", {
  expect_identical(rule_of(start = 5, spread = 2)$start$theta, -2:2 + 0)
  expect_identical(rule_of(start = 2)$start$theta, 0)
  expect_identical(rule_of(theta0 = 1)$start$theta, 1)
  skip_without_clone()
  skip_if_not_installed("catR")
  parameters <- bank_of(30, 4)
  responses <- matrix(1, 1, 30, dimnames = list("m", parameters$item))
  rule <- rule_of(start = 3, spread = 2)
  traces <- simulate_cats(responses, parameters, rule, "q", "r")
  expected <- character(0)
  for (theta in c(-2, 0, 2)) {
    right <- stats::plogis(parameters$a * theta + parameters$d)
    information <- parameters$a^2 * right * (1 - right)
    information[parameters$item %in% expected] <- -Inf
    expected <- c(expected, parameters$item[which.max(information)])
  }
  expect_setequal(traces$item[1:3], expected)
})

test_that("missing cells are not asked and items not twice", {
  skip_without_clone()
  skip_if_not_installed("catR")
  parameters <- bank_of(20, 2)
  responses <- matrix(rep(c(1, 0), 20), 2, 20, byrow = TRUE)
  responses <- rbind(responses[1, ], 1 - responses[1, ])
  responses[1, c(3, 4, 5)] <- NA
  dimnames(responses) <- list(c("m1", "m2"), parameters$item)
  traces <- simulate_cats(responses, parameters, rule_of(), "q", "r")
  expect_identical(as.integer(table(traces$subject)), c(8L, 8L))
  first <- traces[traces$subject == "m1", ]
  expect_false(any(first$item %in% parameters$item[3:5]))
  expect_identical(anyDuplicated(first$item), 0L)
  expect_equal(
    first$response,
    unname(responses["m1", first$item])
  )
  check_table(traces, "cat_traces", "traces")
})

test_that("stopping rules and further arguments reach catR", {
  rule <- rule_of(se = 0.4, cut = 1, information = 0.2, cat_test = "AP = 0.5")
  expect_identical(
    rule$stop$rule,
    c("length", "precision", "classification", "minInfo")
  )
  expect_identical(rule$stop$thr, c(8, 0.4, 1, 0.2))
  expect_equal(rule$stop$alpha, 0.05, tolerance = 1e-3)
  expect_identical(rule$test$AP, 0.5)
  expect_error(cat_extra("AP ="), "no list of R", class = "user_error")
})

test_that("the stage refuses what it cannot do", {
  skip_without_clone()
  folder <- scratch()
  parameters <- bank_of(4, 3)
  responses <- data.frame(subject = c("a", "b"), matrix(1L, 2, 4))
  names(responses)[-1] <- parameters$item
  write_table(parameters, file.path(folder, "p.parquet"), "parameters")
  write_table(responses, file.path(folder, "r.parquet"), "responses")
  skip_without_clone()
  skip_if_not_installed("catR")
  run <- \(...) {
    run_script(
      "simulate_cat.R",
      "--responses",
      file.path(folder, "r.parquet"),
      "--parameters",
      file.path(folder, "p.parquet"),
      "--benchmark",
      "q",
      "--out",
      file.path(folder, "out.parquet"),
      ...
    )
  }
  done <- run("--min-length", "9")
  expect_identical(done$status, 2L)
  expect_match(done$stderr, "4 items, the rule asks at least 9")
  expect_identical(run("--max-length", "3")$status, 0L)
  made <- read_table(file.path(folder, "out.parquet"), "cat_traces")
  expect_identical(nrow(made), 6L)
})
