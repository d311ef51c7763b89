# Training, validation and test subjects, and folds for cross-validation.

#' Columns that keep subjects together or order them, by method of splitting
#' @noRd
split_columns <- list(
  random = "group",
  organization = c("group", "organization"),
  date = c("group", "date")
)

#' Unite `subjects` tables
#'
#' @param tables List of `subjects` tables.
#' @param columns Columns on which the tables must agree about a subject.
#' @return Data frame with one row a subject: `subject`, `organization`,
#'   `group` and `date`, each the first value that is not null.
#' @noRd
unite_subjects <- function(tables, columns) {
  rows <- do.call(
    rbind,
    lapply(tables, \(table) {
      table[c("subject", "organization", "group", "date")]
    })
  )
  subject <- unique(rows$subject)
  first_known <- lapply(rows[-1], \(values) {
    known <- !is.na(values) & nzchar(values)
    values[known][match(subject, rows$subject[known])]
  })
  united <- data.frame(subject = subject, first_known)
  for (column in columns) {
    first <- united[[column]][match(rows$subject, subject)]
    row <- which(rows[[column]] != first)[1]
    if (!is.na(row)) {
      user_error(
        "--subjects: subject '",
        rows$subject[row],
        "' has the ",
        column,
        " '",
        first[row],
        "' and '",
        rows[[column]][row],
        "'; make the tables agree"
      )
    }
  }
  united
}

#' Average the full scores of each subject
#'
#' @param tables List of `full_scores` tables.
#' @param subject Character vector of subjects.
#' @return Numeric vector along `subject`, in points: the mean over the
#'   benchmarks on which the subject has a score, `NA` where it has none.
#' @noRd
mean_full_score <- function(tables, subject) {
  scores <- do.call(
    rbind,
    lapply(tables, \(table) {
      table[c("subject", "benchmark", "full_score")]
    })
  )
  if (is.null(scores)) {
    return(rep(NA_real_, length(subject)))
  }
  # A table listed under two benchmarks must not count twice.
  scores <- scores[!duplicated(scores[c("subject", "benchmark")]), ]
  mean_score <- tapply(scores$full_score, scores$subject, mean)
  as.vector(mean_score[match(subject, names(mean_score))])
}

#' Tell which subjects have a full score on every benchmark
#'
#' @param tables List of `full_scores` tables.
#' @param subject Character vector of subjects.
#' @return Logical vector along `subject`.
#' @noRd
has_every_score <- function(tables, subject) {
  scores <- do.call(
    rbind,
    lapply(tables, \(table) table[c("subject", "benchmark")])
  )
  if (is.null(scores)) {
    user_error(
      "--test-from complete needs --full-scores, which say who has them all"
    )
  }
  scores <- unique(scores)
  known <- tabulate(match(scores$subject, subject), length(subject))
  known == length(unique(scores$benchmark))
}

#' Find the clusters that a split never divides
#'
#' Clusters are the connected components of the graph that joins two subjects
#' when they share a value of any key. Every subject starts with a number of
#' its own and takes the smallest one among those it is joined to, until
#' nothing changes.
#'
#' @param keys List of character vectors along the subjects; `NA` joins nothing.
#' @return Integer vector along the subjects: the number of the cluster, from 1.
#' @noRd
linked_clusters <- function(keys) {
  cluster <- seq_along(keys[[1]])
  repeat {
    before <- cluster
    for (key in keys) {
      known <- which(!is.na(key))
      id <- match(key[known], unique(key[known]))
      cluster[known] <- as.vector(tapply(cluster[known], id, min))[id]
    }
    if (identical(cluster, before)) {
      return(match(cluster, unique(cluster)))
    }
  }
}

#' Find the clusters of subjects for a method of splitting
#'
#' @param subjects Data frame from `unite_subjects()`.
#' @param method `"random"`, `"organization"` or `"date"`.
#' @return Integer vector along the subjects: the number of the cluster, from 1.
#' @export
subject_clusters <- function(subjects, method) {
  linked_clusters(subjects[setdiff(split_columns[[method]], "date")])
}

#' Group clusters by quantiles of a score
#'
#' @param score Numeric vector, in points; `NA` where there is none.
#' @param strata Number of groups wanted.
#' @return Integer vector: group 1 to `min(strata, number of scores)` from the
#'   lowest scores to the highest, 0 without a score. Ties share a group.
#' @noRd
quantile_group <- function(score, strata) {
  known <- !is.na(score)
  groups <- min(strata, sum(known))
  group <- integer(length(score))
  group[known] <- as.integer(
    ceiling(rank(score[known]) / sum(known) * groups)
  )
  group
}

#' Draw clusters at random until they hold a share of the subjects
#'
#' Strata are taken in turn, the clusters of each in random order. A cluster is
#' drawn when that brings the number of subjects drawn closer to
#' \deqn{p \sum_{t \le s} n_t,}
#' the share \eqn{p} of the subjects in this and the earlier strata. A cluster
#' too large to help is passed over, so one huge cluster cannot swamp the set.
#'
#' @param size Integer vector: subjects in each cluster.
#' @param stratum Integer vector: stratum of each cluster.
#' @param share Share of the subjects wanted, 0 to 1.
#' @return Logical vector along the clusters: drawn or not.
#' @noRd
draw_clusters <- function(size, stratum, share) {
  in_turn <- order(stratum, sample(length(size)))
  target <- share * cumsum(tapply(size, stratum, sum))
  target <- target[as.character(stratum)]
  drawn <- logical(length(size))
  count <- 0
  for (cluster in in_turn) {
    gap <- target[cluster] - count
    if (abs(gap - size[cluster]) < abs(gap)) {
      drawn[cluster] <- TRUE
      count <- count + size[cluster]
    }
  }
  drawn
}

#' Choose the newest clusters that hold about a share of the subjects
#'
#' @param date Character vector: the day each cluster began, YYYY-MM-DD.
#' @inheritParams draw_clusters
#' @return Logical vector along the clusters. Clusters of one day stay together,
#'   so that no cluster left out is newer than, or as new as, one chosen.
#' @noRd
newest_clusters <- function(date, size, share) {
  days <- sort(unique(date), decreasing = TRUE)
  count <- cumsum(tapply(size, factor(date, days), sum))
  date >= days[which.min(abs(count - share * sum(size)))]
}

#' Deal clusters into folds of equal size
#'
#' Large clusters are dealt first, since small ones can even out what they
#' leave. Each goes to the fold with the fewest subjects \eqn{n_f}, among equals
#' to the one with the fewest subjects \eqn{n_{fs}} of the cluster's stratum
#' \eqn{s}: size is balanced first, then score.
#'
#' @inheritParams draw_clusters
#' @param folds Number of folds.
#' @return Integer vector along the clusters: the fold, 1 to `folds`.
#' @noRd
deal_folds <- function(size, stratum, folds) {
  in_turn <- order(-size, stratum, sample(length(size)))
  stratum <- match(stratum, unique(stratum))
  held <- matrix(0, folds, max(stratum))
  fold <- integer(length(size))
  for (cluster in in_turn) {
    fold[cluster] <- order(rowSums(held), held[, stratum[cluster]])[1]
    cell <- cbind(fold[cluster], stratum[cluster])
    held[cell] <- held[cell] + size[cluster]
  }
  fold
}

#' Split subjects into sets and folds
#'
#' @param subjects Data frame from `unite_subjects()`.
#' @param cluster Integer vector along the subjects, from [subject_clusters()].
#' @param score Numeric vector along the subjects, in points, for strata.
#' @param method `"random"`: stratified by the mean score of a cluster;
#'   `"organization"`: whole organizations in random order; `"date"`: the
#'   newest clusters, by their earliest date, are the test set.
#' @param test,validation Shares of the subjects, 0 to 1.
#' @param folds Number of cross-validation folds of the training subjects.
#' @param strata Number of quantile groups of the score.
#' @param seed Seed of the random numbers.
#' @param eligible Logical vector along the subjects: who may be in the test
#'   and validation sets, whose shares are then of these subjects. A cluster
#'   with a subject that may not stays in training.
#' @return `splits` table: subject, set, fold (`NA` outside the training set).
#' @export
split_subjects <- function(
  subjects,
  cluster,
  score,
  method,
  test,
  validation = 0,
  folds = 10,
  strata = 5,
  seed = 1,
  eligible = rep(TRUE, nrow(subjects))
) {
  check_split(subjects, cluster, method, test, validation, folds)
  set.seed(seed)
  size <- tabulate(cluster)
  score <- as.vector(tapply(score, cluster, mean, na.rm = TRUE))
  date <- if (method == "date") as.vector(tapply(subjects$date, cluster, min))
  candidates <- which(as.vector(tapply(eligible, cluster, all)))
  choose <- \(rest, share) {
    share <- share * sum(size[candidates]) / sum(size[rest])
    drawn <- switch(
      method,
      random = draw_clusters(
        size[rest],
        quantile_group(score[rest], strata),
        share
      ),
      organization = draw_clusters(size[rest], rep(1L, length(rest)), share),
      date = newest_clusters(date[rest], size[rest], share)
    )
    rest[drawn]
  }
  set <- rep("train", length(size))
  if (length(candidates) > 0) {
    set[choose(candidates, test)] <- "test"
  }
  rest <- candidates[set[candidates] == "train"]
  if (validation > 0 && length(rest) > 0) {
    set[choose(rest, validation)] <- "validation"
  }
  check_sets(set, validation, folds)
  train <- which(set == "train")
  fold <- rep(NA_integer_, length(size))
  fold[train] <- deal_folds(
    size[train],
    quantile_group(score[train], strata),
    folds
  )
  data.frame(
    subject = subjects$subject,
    set = set[cluster],
    fold = fold[cluster]
  )
}

#' Describe a split
#'
#' @param splits `splits` table from [split_subjects()].
#' @param subjects,cluster What it was made from.
#' @return Named list: subjects, organizations, clusters and subjects in the
#'   largest cluster of each set, and the share of all test subjects whose
#'   organization also occurs in training.
#' @noRd
describe_split <- function(splits, subjects, cluster) {
  organization <- subjects$organization
  sets <- lapply(split(seq_along(cluster), splits$set), \(rows) {
    list(
      subjects = length(rows),
      organizations = length(unique(stats::na.omit(organization[rows]))),
      clusters = length(unique(cluster[rows])),
      largest_cluster = max(tabulate(cluster[rows]))
    )
  })
  known <- stats::na.omit(organization[splits$set == "train"])
  seen <- organization[splits$set == "test"] %in% known
  list(
    sets = sets,
    test_share_with_training_organization = if (length(known) > 0) {
      mean(seen)
    } else {
      NA
    }
  )
}
