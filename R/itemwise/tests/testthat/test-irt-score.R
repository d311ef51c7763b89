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
