limits <- list(min_sd = 0.01, max_mean = 0.95, min_item_total = 0.05)

make_items <- \(item) data.frame(benchmark = "arc", item = item)

# Answers of subjects with a common ability, some cells not administered.
draw_responses <- function(subjects, items, missing = 0) {
  set.seed(3)
  ability <- rnorm(subjects)
  chance <- plogis(outer(ability, rnorm(items), "-"))
  x <- matrix(rbinom(length(chance), 1, chance), subjects)
  x[runif(length(x)) < missing] <- NA
  dimnames(x) <- list(
    sprintf("s%d", seq_len(subjects)),
    sprintf("i%d", seq_len(items))
  )
  x
}

test_that("statistics are those computed by hand", {
  x <- rbind(
    a = c(i1 = 1L, i2 = 1L, i3 = NA, i4 = NA),
    b = c(1L, 0L, 1L, NA),
    c = c(0L, 0L, NA, NA),
    d = c(1L, 1L, 0L, NA)
  )
  # Proportions correct: a 1, b 2/3, c 0, d 2/3.
  p <- c(1, 2 / 3, 0, 2 / 3)
  expect_equal(
    item_statistics(x),
    data.frame(
      item = c("i1", "i2", "i3", "i4"),
      n = c(4L, 4L, 2L, 0L),
      mean = c(0.75, 0.5, 0.5, NA),
      sd = c(0.5, sqrt(1 / 3), sqrt(0.5), NA),
      item_total_correlation = c(
        cor(c(1, 1, 0, 1), p),
        cor(c(1, 0, 0, 1), p),
        NA,
        NA
      )
    )
  )
})

test_that("statistics agree with mean, sd and cor of every item", {
  for (missing in c(0, 0.3)) {
    x <- draw_responses(60, 40, missing)
    p <- rowMeans(x, na.rm = TRUE)
    statistics <- item_statistics(x, block = 7)
    expect_equal(statistics$n, unname(colSums(!is.na(x))))
    expect_equal(statistics$mean, unname(colMeans(x, na.rm = TRUE)))
    expect_equal(statistics$sd, unname(apply(x, 2, sd, na.rm = TRUE)))
    expect_equal(
      statistics$item_total_correlation,
      as.vector(cor(x, p, use = "pairwise.complete.obs"))
    )
    expect_identical(item_statistics(x), item_statistics(x, block = 1))
  }
})

test_that("a subject without answers changes nothing", {
  x <- draw_responses(30, 10)
  expect_equal(item_statistics(rbind(x, none = NA)), item_statistics(x))
})

test_that("each rule excludes as metabench does, and says why", {
  skip_without_clone()
  x <- draw_responses(200, 20)
  total <- rowMeans(x)
  x[, "i1"] <- 1L
  x[, "i2"] <- as.integer(seq_len(200) > 4)
  x[, "i3"] <- as.integer(total < median(total))
  x[, "i4"] <- NA
  limits$min_item_total <- 0.2
  items <- screen_items(make_items(colnames(x)), x, limits)
  row <- \(item) items[items$item == item, ]
  expect_identical(
    row("i1")$reason,
    "sd 0 <= 0.01; mean 1 > 0.95"
  )
  expect_match(
    row("i2")$reason,
    "^mean 0.98 > 0.95; \\|item-total correlation\\| .* < 0.2$"
  )
  expect_lt(row("i3")$item_total_correlation, -0.3)
  expect_identical(
    row("i3")[c("keep", "reason")] |> as.list(),
    list(keep = 1L, reason = "")
  )
  expect_identical(row("i4")$reason, "no training responses")
  expect_identical(items$keep, as.integer(items$reason == ""))
  expect_silent(check_table(items, "items", "f"))

  about <- describe_screen(items, 200, limits, "correlation")
  expect_identical(about$kept + about$excluded, 20L)
  expect_identical(
    about$excluded_by[c("sd <= 0.01", "mean > 0.95", "no training responses")],
    list(
      "sd <= 0.01" = 1L,
      "mean > 0.95" = 2L,
      "no training responses" = 1L
    )
  )
})

test_that("thresholds are strict or not as stated", {
  statistics <- data.frame(
    sd = c(0.01, 0.3, 0.3, NA),
    mean = c(0.5, 0.95, 0.5, 1),
    item_total_correlation = c(0.3, -0.05, NA, NA)
  )
  expect_identical(
    unname(apply_rules(statistics, limits)$excluded),
    rbind(
      c(TRUE, FALSE, FALSE),
      FALSE,
      c(FALSE, FALSE, TRUE),
      c(TRUE, TRUE, FALSE)
    )
  )
})

test_that("the discounted correlation is metabench's, computed by hand", {
  x <- rbind(
    a = c(i1 = 1L, i2 = 1L, i3 = 1L, i4 = 0L),
    b = c(1L, 1L, 0L, 0L),
    c = c(1L, 0L, 0L, 0L),
    d = c(0L, 0L, 0L, 1L)
  )
  # Totals 3, 2, 1, 1 with mean 7 / 4 and variance 11 / 12.
  s <- sqrt(11 / 12)
  expected <- c(
    (2 - 7 / 4) / s * sqrt(3 * 1 / 12),
    (2.5 - 7 / 4) / s * sqrt(2 * 2 / 12),
    (3 - 7 / 4) / s * sqrt(1 * 3 / 12),
    (1 - 7 / 4) / s * sqrt(1 * 3 / 12)
  )
  statistics <- item_statistics(x)
  expect_equal(weighed_correlation(statistics, "discounted"), expected)
  expect_equal(
    weighed_correlation(statistics, "correlation"),
    statistics$item_total_correlation
  )
  # 0.131, 0.452, 0.653 and -0.392: the easy item falls, the reversed one not.
  items <- screen_items(
    make_items(colnames(x)),
    x,
    list(min_item_total = 0.3),
    discrimination = "discounted"
  )
  expect_identical(
    items$reason,
    c("|item-total correlation| x share wrong 0.1306 < 0.3", "", "", "")
  )
  plain <- screen_items(
    make_items(colnames(x)),
    x,
    list(min_item_total = 0.3)
  )
  expect_identical(plain$keep, rep(1L, 4))
})

test_that("what cannot be screened is a user error with a remedy", {
  x <- draw_responses(20, 4)
  expect_user_error(
    screen_items(make_items("i1"), x, limits),
    "3 items .* have no row: i2, i3, i4"
  )
  x[] <- 1L
  expect_user_error(
    screen_items(make_items(colnames(x)), x, limits),
    "all 4 items are excluded, most of them \\(4\\) by --min-sd; relax --min-sd"
  )
})

test_that("the stage keeps the items that passed, with all else of training", {
  skip_without_clone()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  x <- draw_responses(50, 12, 0.1)
  x[, "i3"] <- 1L
  x["s7", ] <- NA
  x["s7", "i3"] <- 1L
  fold <- rep(1:5, 10)
  score <- replace(seq_len(50), 4, NA)
  save_training(x, fold, score, path("t"))
  write_table(make_items(colnames(x)), path("i"), "items")
  stage <- \(...) {
    run_script(
      "screen_items.R",
      "--training",
      path("t"),
      "--items",
      path("i"),
      "--out",
      path("out"),
      "--out-training",
      path("kept"),
      "--record",
      path("rec"),
      ...
    )
  }
  end <- stage()
  expect_identical(end$status, 0L)
  expect_match(
    end$stderr,
    "1 subjects that answered screened-out items only: s7"
  )
  items <- read_table(path("out"), "items")
  expect_equal(items, screen_items(make_items(colnames(x)), x, limits))
  expect_identical(items$keep[3], 0L)
  kept <- read_training(path("kept"))
  expect_identical(kept$responses, x[-7, items$item[items$keep == 1]])
  expect_identical(kept$fold, fold[-7])
  expect_equal(kept$full_score, score[-7])
  expect_identical(read_responses(path("kept")), kept$responses)
  record <- read_record(path("rec"))
  expect_identical(record$training_subjects, 50L)

  unlink(path("kept"))
  end <- stage("--min-sd", "0.9")
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "^screen_items: error: all 12 items are excluded")
  expect_false(file.exists(path("kept")))
})
