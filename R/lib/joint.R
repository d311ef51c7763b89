# Reading a full score out with the help of the other benchmarks.

joined_features <- c("linear", "theta")

#' Lay the features of all benchmarks side by side
#'
#' @param features `features` tables, stacked.
#' @param form Name of the form.
#' @return Data frame of the subjects that every benchmark has: subject, set,
#'   fold, `y.<benchmark>` (full score), `<benchmark>.<feature>`, and their
#'   means `y.grand`, `grand.linear` and `grand.sub_score`.
joint_data <- function(features, form) {
  features <- features[features$form == form, ]
  if (nrow(features) == 0) {
    user_error("--features: hold no form '", form, "'; choose another --form")
  }
  benchmarks <- unique(features$benchmark)
  if (length(benchmarks) < 2) {
    user_error(
      "--features: only benchmark ",
      listed(benchmarks),
      "; a joint read-out needs at least two"
    )
  }
  if ("grand" %in% benchmarks) {
    user_error("benchmark 'grand': that name means the mean of all; rename it")
  }
  parts <- lapply(benchmarks, \(benchmark) {
    part <- features[features$benchmark == benchmark, ]
    values <- part[c("full_score", "linear", "theta", "sub_score")]
    names(values) <- c(
      paste0("y.", benchmark),
      paste0(make.names(benchmark), ".", c("linear", "theta", "sub_score"))
    )
    cbind(part[c("subject", "set", "fold")], values)
  })
  data <- Reduce(
    \(a, b) merge(a, b[names(b) != "set" & names(b) != "fold"]),
    parts
  )
  sets <- unique(features[c("subject", "set")])
  twice <- sets$subject[duplicated(sets$subject)]
  if (length(twice) > 0) {
    user_error(
      "--features: subject '",
      twice[1],
      "' is in different sets for different benchmarks; use one split for all"
    )
  }
  train <- sum(data$set == "train")
  if (train < 50) {
    user_error(
      "--features: ",
      train,
      " training subjects have features of every benchmark; a joint ",
      "read-out needs at least 50"
    )
  }
  data$y.grand <- rowMeans(data[paste0("y.", benchmarks)])
  for (feature in c("linear", "sub_score")) {
    each <- data[paste0(make.names(benchmarks), ".", feature)]
    data[[paste0("grand.", feature)]] <- rowMeans(each)
  }
  data
}

#' Say how optimistic the residuals of each target are
#'
#' @param paths Records of select_items in the order of `benchmarks`, or `NULL`.
#' @param benchmarks Names of the benchmarks.
#' @return Named numbers, one a benchmark and `grand`, the mean of all.
joint_optimism <- function(paths, benchmarks) {
  if (!is.null(paths) && length(paths) != length(benchmarks)) {
    user_error(
      "--selection-records: ",
      length(paths),
      " files for ",
      length(benchmarks),
      " benchmarks; give one a benchmark, in the order of --features"
    )
  }
  each <- if (is.null(paths)) {
    rep(1, length(benchmarks))
  } else {
    vapply(paths, read_optimism, 0, USE.NAMES = FALSE)
  }
  stats::setNames(c(each, mean(each)), c(benchmarks, "grand"))
}

#' Name the predictors of a joint read-out
#'
#' With terms `"others"` a benchmark is read out from its own linear predictor,
#' ability and sub-score and the linear predictor and ability of every other;
#' the mean of all from the mean linear predictor and every ability. With
#' `"means"` (section 7 of metabench's method) a benchmark is read out from its
#' own linear predictor and sub-score, the means of both, and every ability;
#' the mean of all from the means and every ability.
#'
#' @param target Benchmark, or `"grand"`.
#' @param benchmarks All benchmarks.
#' @param terms `"others"` or `"means"`.
#' @return Character vector of `<benchmark>.<feature>`, with the benchmark as a
#'   syntactic name: formulas know no hyphens.
joint_predictors <- function(target, benchmarks, terms = "others") {
  target <- make.names(target)
  benchmarks <- make.names(benchmarks)
  abilities <- paste0(benchmarks, ".theta")
  if (terms == "means") {
    own <- if (target != "grand") paste0(target, c(".linear", ".sub_score"))
    return(c("grand.linear", "grand.sub_score", own, abilities))
  }
  if (target == "grand") {
    return(c("grand.linear", abilities))
  }
  others <- setdiff(benchmarks, target)
  own <- paste0(target, ".", c(joined_features, "sub_score"))
  c(
    own,
    paste0(rep(others, each = length(joined_features)), ".", joined_features)
  )
}

#' Write the formula of a joint read-out
#'
#' @param variables Predictors.
#' @param k Basis size of every smooth.
#' @param basis Its kind, as mgcv calls it.
#' @return Formula with response `full_score`.
joint_formula <- function(variables, k, basis = "cr") {
  smooths <- sprintf("s(%s, bs = '%s', k = %d)", variables, basis, k)
  stats::as.formula(
    paste("full_score ~", paste(smooths, collapse = " + ")),
    globalenv()
  )
}

#' Read one target out of the features of all benchmarks
#'
#' @param data Data frame from [joint_data()].
#' @param target Benchmark, or `"grand"`.
#' @param benchmarks All benchmarks.
#' @param k Basis size of every smooth.
#' @param level Nominal coverage, 0 to 1.
#' @param optimism As for [fit_readout()].
#' @param terms As for [joint_predictors()].
#' @param basis As for [joint_formula()].
#' @return List like that of [fit_readout()].
fit_joint <- function(
  data,
  target,
  benchmarks,
  k,
  level,
  optimism = 1,
  terms = "others",
  basis = "cr"
) {
  data$full_score <- data[[paste0("y.", target)]]
  variables <- joint_predictors(target, benchmarks, terms)
  formula <- joint_formula(variables, k, basis)
  fit_readout(data, formula, level, optimism)
}

#' Tabulate a joint read-out, under the benchmarks' own names
#'
#' @param fit List from [fit_joint()].
#' @param target,form,benchmarks As for [fit_joint()].
#' @return `terms` table.
joint_terms <- function(fit, target, form, benchmarks) {
  rows <- as_terms(fit, target, form, "joint")
  for (benchmark in benchmarks) {
    prefix <- paste0(make.names(benchmark), ".")
    own <- startsWith(rows$variable, prefix)
    feature <- substring(rows$variable[own], nchar(prefix) + 1)
    rows$variable[own] <- paste0(benchmark, ".", feature)
  }
  rows
}
