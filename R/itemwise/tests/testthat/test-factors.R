simulate_factors <- function(loadings, n, seed) {
  set.seed(seed)
  common <- matrix(rnorm(n * ncol(loadings)), n) %*% t(loadings)
  own <- sqrt(1 - rowSums(loadings^2))
  values <- common + matrix(rnorm(n * nrow(loadings)), n) * rep(own, each = n)
  dimnames(values) <- list(
    sprintf("s%04d", seq_len(n)),
    letters[seq_len(nrow(loadings))]
  )
  values
}
one <- matrix(c(0.9, 0.8, 0.7, 0.6, 0.8, 0.75))
two <- cbind(c(0.8, 0.8, 0.8, 0, 0, 0), c(0, 0, 0, 0.8, 0.7, 0.8))

test_that("one factor is recovered, and two are not taken for one", {
  skip_if_not_installed("psych")
  skip_if_not_installed("GPArotation")
  fit <- fit_factors(simulate_factors(one, 2000, 1), 1)
  # About three standard errors of a loading at 2,000 subjects.
  expect_lt(max(abs(fit$loadings - one)), 0.06)
  expect_lt(fit$record$rmsea, 0.03)
  expect_gt(fit$record$cfi, 0.99)
  expect_equal(fit$record$variance, mean(one^2), tolerance = 0.05)
  wrong <- fit_factors(simulate_factors(two, 2000, 2), 1)
  expect_gt(wrong$record$rmsea, 0.2)
  expect_lt(wrong$record$cfi, 0.9)
  right <- fit_factors(simulate_factors(two, 2000, 2), 2)
  expect_lt(right$record$rmsea, 0.03)
  on <- abs(right$loadings) > 0.5
  expect_true(all(xor(on[, 1], on[, 2])))
})

test_that("the first factor follows what all measure", {
  skip_if_not_installed("psych")
  skip_if_not_installed("GPArotation")
  values <- simulate_factors(one, 600, 3)
  overall <- rowMeans(values)
  found <- analyze_measure(
    "scores",
    values[1:400, ],
    values[401:600, ],
    overall,
    3
  )
  expect_identical(length(found$solutions), 3L)
  expect_gt(found$solutions[[1]]$spearman_overall, 0.97)
  expect_identical(found$solutions[[1]]$n_overall, 200L)
  expect_null(found$solutions[[3]]$rmsea)
  expect_identical(nrow(found$loadings), 6L * (1L + 2L + 3L))
})

test_that("as many factors as variables can identify", {
  expect_identical(vapply(3:6, most_factors, 0L, most = 3), c(1L, 1L, 2L, 3L))
  # With more factors than variables the formula grows again.
  expect_identical(most_factors(3, 6), 1L)
})

test_that("the stage writes loadings, and refuses what it cannot analyse", {
  skip_without_clone()
  skip_if_not_installed("psych")
  skip_if_not_installed("GPArotation")
  folder <- scratch()
  path <- \(...) file.path(folder, paste0(...))
  values <- simulate_factors(one[1:3, , drop = FALSE], 200, 4)
  subject <- rownames(values)
  full <- data.frame(
    subject = rep(subject, 3),
    benchmark = rep(letters[1:3], each = 200),
    full_score = 50 + 10 * as.vector(values)
  )
  write_table(full, path("f"), "full_scores")
  # The first subjects train, the others test.
  save_abilities <- \(n) {
    for (name in letters[1:3]) {
      table <- data.frame(
        subject = rep(subject, 3),
        form = rep(c("pool", "A", "random1"), each = 200),
        theta = c(rep(values[, name], 2), rep(0, 200)),
        se = 0.1,
        method = "EAP"
      )
      trains <- table$subject %in% subject[1:n]
      pool <- table$form == "pool"
      write_table(table[trains & pool, ], path("a", name), "abilities")
      write_table(table[trains & !pool, ], path("form", name), "abilities")
      write_table(table[!trains, ], path("test", name), "abilities")
    }
  }
  save_abilities(140)
  stage <- \(benchmarks, ...) {
    parts <- strsplit(benchmarks, ",")[[1]]
    run_script(
      "analyze_factors.R",
      "--benchmarks",
      benchmarks,
      "--full-scores",
      path("f"),
      "--abilities",
      paste(path("a", parts), collapse = ","),
      "--test-abilities",
      paste(path("test", parts), collapse = ","),
      "--out",
      path("out"),
      "--record",
      path("rec"),
      ...
    )
  }
  end <- stage("a,b")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "2 given; a factor needs at least 3 variables")
  expect_false(file.exists(path("out")))
  expect_identical(stage("a,b,c")$status, 0L)
  out <- read_table(path("out"), "loadings")
  expect_identical(nrow(out), 6L)
  # Scores are abilities on another scale here.
  expect_equal(out$loading[1:3], out$loading[4:6])
  record <- jsonlite::fromJSON(path("rec"), simplifyVector = FALSE)
  expect_identical(record$scores[[1]]$n_subjects, 140L)
  expect_identical(record$scores[[1]]$n_overall, 60L)
  # Abilities from the main form are a measure of their own.
  forms <- \(names) paste(path("form", names), collapse = ",")
  end <- stage("a,b,c", "--form-abilities", forms(letters[1:2]))
  expect_match(end$stderr, "--form-abilities: 2 files for 3 benchmarks")
  end <- stage("a,b,c", "--form-abilities", forms(letters[1:3]))
  expect_identical(end$status, 0L)
  out <- read_table(path("out"), "loadings")
  expect_identical(unique(out$measure)[3], "form_abilities")
  expect_equal(out$loading[7:9], out$loading[4:6])
  # Benchmarks of different models: left out, and said so.
  save_abilities(49)
  end <- stage("a,b,c")
  expect_identical(end$status, 0L)
  expect_match(end$stderr, "left out: 49 training models have every benchmark")
  record <- jsonlite::fromJSON(path("rec"), simplifyVector = FALSE)
  expect_match(record$left_out, "49 training models have every benchmark")
  expect_true(file.exists(path("out")))
})

test_that("values that carry no factor are refused", {
  part <- data.frame(subject = sprintf("s%d", 1:60), value = rnorm(60))
  tables <- list(a = part, b = part, c = part)
  few <- tables
  few$c <- part[1:49, ]
  expect_user_error(common_values(few), "49 subjects have values of all")
  tables$b$value <- 1
  expect_user_error(
    common_values(tables),
    "benchmark b: all subjects have the same"
  )
})
