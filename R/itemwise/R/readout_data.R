# What a read-out is fitted to: abilities and full scores, by form.

#' Choose the abilities of one estimator
#'
#' @param abilities `abilities` table; without `form` it is all form `pool`.
#' @param method Ability estimator, or `NULL` where the table holds only one.
#' @return `abilities` by that estimator, with the column `form`.
#' @noRd
one_method <- function(abilities, method = NULL) {
  if (is.null(abilities$form)) {
    abilities$form <- "pool"
  }
  methods <- unique(abilities$method)
  if (is.null(method) && length(methods) > 1) {
    user_error(
      "--abilities: abilities by ",
      format_list(methods),
      "; choose one by --method"
    )
  }
  if (!is.null(method) && !method %in% methods) {
    user_error(
      "--method ",
      method,
      ": --abilities only holds ",
      format_list(methods),
      "; choose one of these"
    )
  }
  if (is.null(method)) abilities else abilities[abilities$method == method, ]
}

#' Divide abilities by form
#'
#' @param abilities Abilities from [one_method()].
#' @param forms Names of the forms wanted; `NULL` for all.
#' @return Named list of `abilities` tables, one a form.
#' @noRd
by_form <- function(abilities, forms = NULL) {
  absent <- setdiff(forms, abilities$form)
  if (length(absent) > 0) {
    user_error(
      "--forms: no abilities for form ",
      format_list(absent),
      "; --abilities holds ",
      format_list(unique(abilities$form))
    )
  }
  parts <- split(abilities, abilities$form)
  if (is.null(forms)) parts else parts[unique(forms)]
}

#' Choose the full scores of a benchmark
#'
#' @param full_scores `full_scores` table.
#' @param benchmark Name of the benchmark.
#' @return Its rows; a user error lists the benchmarks when there are none.
#' @noRd
benchmark_scores <- function(full_scores, benchmark) {
  if (!benchmark %in% full_scores$benchmark) {
    user_error(
      "--benchmark ",
      benchmark,
      ": --full-scores only holds ",
      format_list(unique(full_scores$benchmark)),
      "; choose one of these"
    )
  }
  full_scores[full_scores$benchmark == benchmark, ]
}

#' Count the items of each form
#'
#' @param selection `selection` table.
#' @param benchmark Name of the benchmark.
#' @param forms Forms that need a count.
#' @return Named integer vector along `forms`.
#' @noRd
form_lengths <- function(selection, benchmark, forms) {
  counts <- table(selection$form[selection$benchmark == benchmark])
  absent <- setdiff(forms, names(counts))
  if (length(absent) > 0) {
    user_error(
      "--selection: no items of benchmark '",
      benchmark,
      "' for form ",
      format_list(absent),
      "; give the selection that the abilities were estimated ",
      "on, or choose forms by --forms"
    )
  }
  stats::setNames(as.integer(counts[forms]), forms)
}

#' Join abilities, full scores and folds of the training subjects
#'
#' @param abilities `abilities` table of one form.
#' @param training List from [read_training()].
#' @return Data frame of the training subjects that have both: subject, theta,
#'   se, full_score (points), set, fold.
#' @noRd
readout_data <- function(abilities, training) {
  form <- abilities$form[1]
  known <- data.frame(
    subject = rownames(training$responses),
    full_score = training$full_score,
    set = "train",
    fold = training$fold
  )
  # ML has no finite ability for subjects with all answers alike.
  able <- !is.na(abilities$theta) & !is.na(abilities$se)
  data <- merge(
    abilities[able, c("subject", "theta", "se")],
    known[!is.na(known$full_score), ]
  )
  fewest <- limit_of("training_subjects")
  if (nrow(data) < fewest) {
    user_error(
      "--training: ",
      nrow(data),
      " training models have a full score and an ability by form '",
      form,
      "'; a read-out needs at least ",
      fewest,
      ": add models, lower config key 'split.test', or let models that ",
      "answered fewer items have a full score (config key 'coverage')"
    )
  }
  if (length(unique(data$fold)) < 2) {
    user_error(
      "--training: training subjects need at least 2 folds; write the splits ",
      "by split_subjects"
    )
  }
  data
}
