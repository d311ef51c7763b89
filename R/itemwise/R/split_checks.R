# What a split must keep, and its errors.

#' Check that subjects can be split as asked
#'
#' @inheritParams split_subjects
#' @return `NULL`; a user error at the first obstacle.
#' @noRd
check_split <- function(subjects, cluster, method, test, validation, folds) {
  if (nrow(subjects) < 2) {
    user_error("--subjects: a split needs at least 2 subjects; add subjects")
  }
  if (test <= 0 || validation < 0 || test + validation >= 1) {
    user_error(
      "--test ",
      test,
      ", --validation ",
      validation,
      ": the shares of ",
      "subjects must be above 0 (validation: 0 or above) and sum to less than 1"
    )
  }
  if (folds < 2) {
    user_error("--folds ", folds, ": cross-validation needs at least 2 folds")
  }
  if (method == "organization" && all(is.na(subjects$organization))) {
    user_error(
      "--method organization: every organization is null; fill the column ",
      "`organization` of the subjects, or use --method random (config key ",
      "'split.method')"
    )
  }
  if (method == "date") {
    check_dates(subjects)
  }
  check_cluster_count(max(cluster), folds + 1, folds)
}

#' Check that every subject has a date
#'
#' @inheritParams split_subjects
#' @return `NULL`; a user error names the first subject without a date.
#' @noRd
check_dates <- function(subjects) {
  day <- grepl("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", subjects$date)
  row <- which(!day)[1]
  if (!is.na(row)) {
    user_error(
      "--method date: subject '",
      subjects$subject[row],
      "' has the date '",
      subjects$date[row],
      "'; give every subject a day YYYY-MM-DD, leave the ",
      "undated out, or use --method random"
    )
  }
}

#' Check that no set is empty and the folds can be filled
#'
#' @param set Character vector along the clusters.
#' @inheritParams split_subjects
#' @return `NULL`; a user error at the first obstacle.
#' @noRd
check_sets <- function(set, validation, folds) {
  wanted <- c("train", "test", if (validation > 0) "validation")
  empty <- setdiff(wanted, set)
  if (length(empty) > 0) {
    user_error(
      "the ",
      empty[1],
      " set would be empty: ",
      length(set),
      " clusters of ",
      "subjects that stay together cannot be divided so; change --test or ",
      "--validation, add subjects, or use another --method (config keys ",
      "'split.test', 'split.validation', 'split.method')"
    )
  }
  check_cluster_count(sum(set == "train"), folds, folds)
}

#' Check that there are clusters enough for the folds
#'
#' @param clusters,needed Number of clusters there are and number needed.
#' @param folds Number of folds.
#' @return `NULL`; a user error when there are too few.
#' @noRd
check_cluster_count <- function(clusters, needed, folds) {
  if (clusters < needed) {
    user_error(
      "--folds ",
      folds,
      ": only ",
      clusters,
      " clusters of subjects that stay ",
      "together, at least ",
      needed,
      " needed; lower --folds (config key 'split.folds') or --test ",
      "('split.test'), or add subjects"
    )
  }
}
