# Reading a full score out with the help of the other benchmarks.

#' Lay the features of all benchmarks side by side
#'
#' @param features `features` tables, stacked.
#' @param form Name of the form.
#' @return Data frame of the training subjects that every benchmark has:
#'   subject, set, fold, `y.<benchmark>` (full score),
#'   `<benchmark>.<feature>`, and their means `y.overall`, `overall.linear` and
#'   `overall.sub_score`.
#' @noRd
joint_data <- function(features, form) {
  features <- features[features$form == form & features$set == "train", ]
  if (nrow(features) == 0) {
    user_error("--features: hold no form '", form, "'; choose another --form")
  }
  benchmarks <- unique(features$benchmark)
  if (length(benchmarks) < 2) {
    user_error(
      "--features: only benchmark ",
      format_list(benchmarks),
      "; a joint read-out needs at least two"
    )
  }
  taken <- intersect(benchmarks, c("overall", "own", "other", "each"))
  if (length(taken) > 0) {
    user_error(
      "benchmark '",
      taken[1],
      "': that name means something else in joint formulas; rename it"
    )
  }
  parts <- lapply(benchmarks, \(benchmark) {
    part <- features[features$benchmark == benchmark, ]
    kept <- c("linear", "theta", "se", "sub_score")
    values <- part[c("full_score", kept)]
    names(values) <- c(
      paste0("y.", benchmark),
      paste0(make.names(benchmark), ".", kept)
    )
    cbind(part[c("subject", "set", "fold")], values)
  })
  data <- Reduce(
    \(a, b) merge(a, b[names(b) != "set" & names(b) != "fold"]),
    parts
  )
  if (nrow(data) < 50) {
    user_error(
      "--features: ",
      nrow(data),
      " training subjects have features of every benchmark; a joint ",
      "read-out needs at least 50"
    )
  }
  data$y.overall <- rowMeans(data[paste0("y.", benchmarks)])
  for (feature in c("linear", "sub_score")) {
    each <- data[paste0(make.names(benchmarks), ".", feature)]
    data[[paste0("overall.", feature)]] <- rowMeans(each)
  }
  data
}

#' Say why benchmarks cannot be read out jointly
#'
#' @param features `features` tables, stacked.
#' @param form Name of the form.
#' @return A sentence; `NULL` where nothing is in the way, or another fault is
#'   for [joint_data()] to name.
#' @noRd
joint_obstacle <- function(features, form) {
  train <- features[features$form == form & features$set == "train", ]
  each <- split(train$subject, train$benchmark)
  n <- length(Reduce(intersect, each))
  if (length(each) < 2 || n >= 50) {
    return(NULL)
  }
  paste0(
    "Joint smooths are left out: ",
    n,
    " training models have every benchmark (",
    paste(names(each), lengths(each), collapse = ", "),
    "), and they need at least 50."
  )
}

#' Say how optimistic the residuals of each target are
#'
#' @param paths Records of select_items in the order of `benchmarks`, or `NULL`.
#' @param benchmarks Names of the benchmarks.
#' @return Named numbers, one a benchmark and `overall`, the mean of all.
#' @noRd
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
  stats::setNames(c(each, mean(each)), c(benchmarks, "overall"))
}

#' Write the formula of each target for the benchmarks at hand
#'
#' `own.x` is feature x of the target. A term that names `other.x` is repeated
#' for every other benchmark, one that names `each.x` for all; `overall.linear`
#' and `overall.sub_score` are means over the benchmarks. Benchmarks enter as
#' syntactic names: formulas know no hyphens.
#'
#' @param text,overall_text Formulas of a benchmark's full score and of the mean
#'   of all, in mgcv's language with response `full_score`.
#' @param benchmarks All benchmarks.
#' @param known Predictors that each may use, as [formula_predictors()] of the
#'   section `joint`; by default any.
#' @return Named list of formulas, one a benchmark and `overall`.
#' @noRd
joint_formulas <- function(text, overall_text, benchmarks, known = list()) {
  one <- parse_formula(text, known$formula, "--formula")
  all <- parse_formula(overall_text, known$overall_formula, "--overall-formula")
  names <- make.names(benchmarks)
  formulas <- lapply(seq_along(names), \(place) {
    expand_formula(
      one,
      list(own = names[place], other = names[-place], each = names)
    )
  })
  overall <- expand_formula(all, list(each = names))
  stats::setNames(c(formulas, list(overall)), c(benchmarks, "overall"))
}

#' Repeat the terms of a formula for the benchmarks that they stand for
#'
#' @param formula Formula from [parse_formula()].
#' @param stands_for Named list: prefix to the benchmarks in its place.
#' @return Formula.
#' @noRd
expand_formula <- function(formula, stands_for) {
  expanded <- summands(formula[[3]])
  for (prefix in names(stands_for)) {
    expanded <- lapply(expanded, rename_prefix, prefix, stands_for[[prefix]])
    expanded <- unlist(expanded, recursive = FALSE)
  }
  right <- Reduce(\(a, b) call("+", a, b), expanded)
  stats::as.formula(call("~", formula[[2]], right), globalenv())
}

#' Split the right-hand side of a formula at its plus signs
#'
#' @param side Expression.
#' @return List of expressions.
#' @noRd
summands <- function(side) {
  if (is.call(side) && identical(side[[1]], quote(`+`)) && length(side) == 3) {
    c(summands(side[[2]]), summands(side[[3]]))
  } else {
    list(side)
  }
}

#' Put benchmarks in the place of a prefix
#'
#' @param term Expression.
#' @param prefix Text before the dot, for example `other`.
#' @param names Benchmarks as syntactic names.
#' @return List of expressions: `term` itself where it does not name the
#'   prefix, else one a benchmark.
#' @noRd
rename_prefix <- function(term, prefix, names) {
  pattern <- paste0("^", prefix, "\\.")
  named <- grep(pattern, all.vars(term), value = TRUE)
  if (length(named) == 0) {
    return(list(term))
  }
  lapply(names, \(name) {
    new <- lapply(sub(pattern, paste0(name, "."), named), as.name)
    do.call(substitute, list(term, stats::setNames(new, named)))
  })
}

#' Read one target out of the features of all benchmarks
#'
#' @param data Data frame from `joint_data()`.
#' @param target Benchmark, or `"overall"`.
#' @param formula Formula from `joint_formulas()`.
#' @param level Nominal coverage, 0 to 1.
#' @param optimism As for [fit_readout()].
#' @return List like that of [fit_readout()].
#' @export
fit_joint <- function(data, target, formula, level, optimism = 1) {
  data$full_score <- data[[paste0("y.", target)]]
  fit_readout(data, formula, level, optimism)
}

#' Tabulate a joint read-out, under the benchmarks' own names
#'
#' @param fit List from [fit_joint()].
#' @param target,form,benchmarks As for [fit_joint()].
#' @return `terms` table.
#' @noRd
joint_terms <- function(fit, target, form, benchmarks) {
  rows <- as_terms(fit, target, form, "joint-smooths")
  for (benchmark in benchmarks) {
    prefix <- paste0(make.names(benchmark), ".")
    for (column in c("variable", "variable2")) {
      own <- startsWith(rows[[column]], prefix)
      feature <- substring(rows[[column]][own], nchar(prefix) + 1)
      rows[[column]][own] <- paste0(benchmark, ".", feature)
    }
  }
  rows
}
