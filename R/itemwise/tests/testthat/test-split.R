united <- \(...) unite_subjects(list(make_subjects(...)), "group")

split_by <- function(subjects, method, ..., score = NULL) {
  cluster <- subject_clusters(subjects, method)
  if (is.null(score)) {
    score <- rep(NA_real_, nrow(subjects))
  }
  split_subjects(subjects, cluster, score, method, ...)
}

# 400 subjects: organizations of very different size, families of up to 4 that
# stay within one, dates, and scores that rise with the organization.
set.seed(42)
n <- 400
organization <- sprintf("o%02d", rep(1:60, length.out = n)[order(runif(n))])
organization[1:80] <- "huge"
many <- united(
  subject = sprintf("s%03d", seq_len(n)),
  organization = ifelse(runif(n) < 0.1, NA, organization),
  date = as.character(as.Date("2023-01-01") + sample(300, n, TRUE)),
  group = NA
)
family <- which(!is.na(many$organization))
many$group[family] <- ifelse(
  runif(length(family)) < 0.5,
  NA,
  paste(many$organization[family], sample(3, length(family), TRUE))
)
points <- runif(n, 20, 80)

divided <- \(key, part) {
  any(tapply(part, key, \(values) length(unique(values)) > 1))
}

test_that("clusters are connected components, and null joins nothing", {
  expect_identical(
    linked_clusters(list(
      c("a", "a", NA, "b", NA, NA),
      c(NA, "x", "x", NA, NA, "y")
    )),
    c(1L, 1L, 1L, 2L, 3L, 4L)
  )
  # A chain through two keys, listed so that the smallest number comes last.
  expect_identical(
    linked_clusters(list(
      c("c", "b", "b", "a", "a"),
      c("z", "z", "y", "y", NA)
    )),
    rep(1L, 5)
  )
  expect_identical(linked_clusters(list(c(NA, NA))), 1:2)
})

test_that("tables unite by their first known value and must agree", {
  one <- make_subjects(c("a", "b"), organization = c("x", NA), group = "g")
  two <- make_subjects(c("b", "c"), organization = c("y", "z"), group = "h")
  expect_identical(
    unite_subjects(list(one, two), "organization")$organization,
    c("x", "y", "z")
  )
  expect_user_error(
    unite_subjects(list(one, two), c("group", "organization")),
    "subject 'b' has the group 'g' and 'h'; make the tables agree"
  )
})

test_that("the score is the mean over the benchmarks that a subject has", {
  arc <- data.frame(
    subject = c("a", "b"),
    benchmark = "arc",
    full_score = c(10, 20)
  )
  gsm <- data.frame(subject = "b", benchmark = "gsm", full_score = 60)
  expect_identical(
    mean_full_score(list(arc, gsm, arc), c("b", "c", "a")),
    c(40, NA, 10)
  )
  expect_identical(mean_full_score(list(), c("a", "b")), c(NA_real_, NA))
})

test_that("quantile groups are equal, with their own for no score", {
  expect_identical(quantile_group(c(4, 1, NA, 2, 3), 2), c(2L, 1L, 0L, 1L, 2L))
  expect_identical(quantile_group(c(2, 1), 5), c(2L, 1L))
  expect_identical(quantile_group(c(1, 1, 1, 1), 2), rep(2L, 4))
})

test_that("a random split has its shares, in every stratum", {
  splits <- split_by(many, "random", 0.2, 0.1, score = points)
  expect_identical(splits$subject, many$subject)
  share <- as.vector(table(splits$set)[c("test", "validation")]) / n
  expect_lt(max(abs(share - c(0.2, 0.1))), 0.01)
  single <- united(subject = sprintf("s%03d", seq_len(n)))
  splits <- split_by(single, "random", 0.2, score = points)
  in_test <- tapply(splits$set == "test", quantile_group(points, 5), sum)
  expect_identical(as.vector(in_test), rep(16L, 5))
})

test_that("test subjects are drawn from those with every score", {
  arc <- data.frame(
    subject = c("a", "b", "c", "c"),
    benchmark = c("arc", "arc", "arc", "more"),
    full_score = 1
  )
  gsm <- data.frame(subject = c("c", "b"), benchmark = "gsm", full_score = 1)
  expect_identical(
    has_every_score(list(arc, gsm, arc), c("b", "c", "a")),
    c(FALSE, TRUE, FALSE)
  )
  expect_user_error(has_every_score(list(), "a"), "needs --full-scores")
  single <- united(subject = sprintf("s%03d", seq_len(n)))
  complete <- rep(c(TRUE, TRUE, TRUE, FALSE), n / 4)
  splits <- split_by(
    single,
    "random",
    0.1,
    0.2,
    score = points,
    eligible = complete
  )
  # 10 and 20 % of the 300 eligible; all others train.
  expect_identical(
    as.vector(table(splits$set)[c("test", "validation")]),
    c(30L, 60L)
  )
  expect_true(all(splits$set[!complete] == "train"))
  # A cluster with a subject that may not be drawn stays in training.
  splits <- split_by(
    many,
    "random",
    0.1,
    score = points,
    eligible = complete,
    folds = 5
  )
  cluster <- subject_clusters(many, "random")
  mixed <- cluster %in% cluster[!complete]
  expect_true(all(splits$set[mixed] == "train"))
  expect_true(any(splits$set == "test"))
})

test_that("no cluster is ever divided, in sets or in folds", {
  skip_without_clone()
  for (method in names(split_columns)) {
    for (seed in 1:3) {
      splits <- split_by(many, method, 0.2, 0.1, 5, seed = seed, score = points)
      part <- paste(splits$set, splits$fold)
      expect_false(divided(many$group, part))
      if (method == "organization") {
        expect_false(divided(many$organization, part))
      }
      expect_identical(is.na(splits$fold), splits$set != "train")
      expect_identical(sort(unique(splits$fold)), 1:5)
      expect_silent(check_table(splits, "splits", "f"))
    }
  }
})

test_that("a huge organization cannot swamp the test set", {
  for (seed in 1:10) {
    splits <- split_by(many, "organization", 0.1, seed = seed, folds = 4)
    expect_lt(abs(sum(splits$set == "test") - 40), 5)
    expect_true(all(
      splits$set[many$organization %in% "huge"] == "train"
    ))
  }
})

test_that("folds are equal in size and in score", {
  single <- united(subject = sprintf("s%03d", seq_len(n)))
  splits <- split_by(single, "random", 0.1, score = points)
  expect_identical(as.vector(table(splits$fold)), rep(36L, 10))
  expect_lt(diff(range(tapply(points, splits$fold, mean))), 5)
  splits <- split_by(many, "random", 0.1, score = points)
  expect_lte(diff(range(table(splits$fold))), 1)
})

test_that("the newest clusters are the test set", {
  subjects <- united(
    subject = letters[1:8],
    group = c(rep(NA, 6), "run", "run"),
    date = c(
      "2023-05-01",
      "2023-06-01",
      "2023-07-01",
      "2023-08-01",
      "2023-08-01",
      "2023-01-01",
      "2023-02-01",
      "2023-12-01"
    )
  )
  splits <- split_by(subjects, "date", 0.25, 0.1, folds = 2)
  expect_identical(
    splits$set,
    c("train", "train", "validation", "test", "test", "train", "train", "train")
  )
  splits <- split_by(many, "date", 0.2)
  began <- ave(many$date, subject_clusters(many, "date"), FUN = min)
  test <- splits$set == "test"
  expect_true(min(began[test]) > max(began[!test]))
})

test_that("a seed repeats a split and another one changes it", {
  first <- split_by(many, "random", 0.2, score = points, seed = 7)
  again <- split_by(many, "random", 0.2, score = points, seed = 7)
  expect_identical(again, first)
  other <- split_by(many, "random", 0.2, score = points, seed = 8)
  expect_false(identical(other, first))
})

test_that("what cannot be split is a user error with a remedy", {
  few <- united(subject = letters[1:12])
  fails <- \(subjects, message, method = "random", ...) {
    expect_user_error(split_by(subjects, method, ...), message)
  }
  fails(few[1, ], "at least 2 subjects", test = 0.5)
  for (share in c(0, 1, -1)) {
    fails(few, "must be above 0", test = share)
  }
  fails(few, "less than 1", test = 0.5, validation = 0.5)
  fails(few, "at least 2 folds", test = 0.5, folds = 1)
  fails(few, "every organization is null", method = "organization", test = 0.5)
  fails(
    few,
    "subject 'a' has the date 'NA'.*YYYY-MM-DD",
    method = "date",
    test = 0.5
  )
  fails(
    few,
    "--folds 12: only 12 clusters.*at least 13 needed; lower --folds",
    test = 0.5,
    folds = 12
  )
  fails(
    few,
    "--folds 10: only 6 clusters.*lower --folds \\(config key 'split.folds'\\)",
    test = 0.5
  )
  fails(few, "the test set would be empty", test = 0.01, folds = 2)
  fails(
    few,
    "the validation set would be empty",
    test = 0.3,
    validation = 0.01,
    folds = 2
  )
  one_day <- united(subject = letters[1:12], date = "2024-01-01")
  fails(
    one_day,
    "the train set would be empty",
    method = "date",
    test = 0.1,
    folds = 2
  )
})

test_that("the record counts subjects, organizations and clusters", {
  subjects <- united(
    subject = letters[1:5],
    organization = c("x", "x", "y", "x", NA),
    group = c("g", "g", NA, NA, NA)
  )
  splits <- data.frame(
    subject = letters[1:5],
    set = c("train", "train", "train", "test", "test")
  )
  about <- describe_split(
    splits,
    subjects,
    subject_clusters(subjects, "random")
  )
  expect_identical(
    about$sets$train,
    list(
      subjects = 3L,
      organizations = 2L,
      clusters = 2L,
      largest_cluster = 2L
    )
  )
  expect_identical(about$test_share_with_training_organization, 0.5)
})

test_that("the stage writes splits and a record", {
  skip_without_clone()
  folder <- scratch()
  path <- \(name) file.path(folder, name)
  write_table(
    make_subjects(many$subject, group = many$group),
    path("s"),
    "subjects"
  )
  write_table(
    data.frame(subject = many$subject, benchmark = "arc", full_score = points),
    path("f"),
    "full_scores"
  )
  end <- run_script(
    "split_subjects.R",
    "--subjects",
    path("s"),
    "--full-scores",
    path("f"),
    "--method",
    "random",
    "--test",
    "0.2",
    "--out",
    path("out"),
    "--record",
    path("record")
  )
  expect_identical(end, list(status = 0L, stdout = "", stderr = ""))
  expect_identical(
    read_table(path("out"), "splits"),
    split_by(many, "random", 0.2, score = points)
  )
  record <- jsonlite::fromJSON(path("record"))
  expect_identical(record$seed, 1L)
  expect_identical(record$method, "random")
  expect_equal(record$sets$train$subjects + record$sets$test$subjects, n)

  end <- run_script(
    "split_subjects.R",
    "--subjects",
    path("s"),
    "--method",
    "organization",
    "--out",
    path("none"),
    "--record",
    path("none.json")
  )
  expect_identical(end$status, 2L)
  expect_match(end$stderr, "^split_subjects: error: .*organization is null")
  expect_false(file.exists(path("none")))
})
