# From the ability of a model to its full score, with prediction intervals.

#' Parse the formula of a read-out
#'
#' @param text Formula in mgcv's language with response `full_score`.
#' @param known Names of the predictors that it may use.
#' @param option Name of the option that gave it.
#' @return Formula; a user error says what is wrong with the text.
parse_formula <- function(
  text,
  known = c("theta", "se"),
  option = "--formula"
) {
  parsed <- tryCatch(str2lang(text), error = \(e) NULL)
  if (
    !is.call(parsed) ||
      !identical(parsed[[1]], quote(`~`)) ||
      length(parsed) != 3 ||
      !identical(parsed[[2]], quote(full_score))
  ) {
    user_error(
      option,
      " '",
      text,
      "' is not a formula full_score ~ ...; write for ",
      "example full_score ~ s(theta, k = 20)"
    )
  }
  unknown <- setdiff(all.vars(parsed[[3]]), known)
  if (length(unknown) > 0) {
    user_error(
      option,
      " '",
      text,
      "': unknown variable ",
      listed(unknown),
      "; use ",
      paste(known, collapse = " and ")
    )
  }
  stats::as.formula(parsed, globalenv())
}

#' Choose the abilities of one estimator
#'
#' @param abilities `abilities` table; without `form` it is all form `pool`.
#' @param method Ability estimator, or `NULL` where the table holds only one.
#' @return `abilities` by that estimator, with the column `form`.
one_method <- function(abilities, method = NULL) {
  if (is.null(abilities$form)) {
    abilities$form <- "pool"
  }
  methods <- unique(abilities$method)
  if (is.null(method) && length(methods) > 1) {
    user_error(
      "--abilities: abilities by ",
      listed(methods),
      "; choose one by --method"
    )
  }
  if (!is.null(method) && !method %in% methods) {
    user_error(
      "--method ",
      method,
      ": --abilities only holds ",
      listed(methods),
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
by_form <- function(abilities, forms = NULL) {
  absent <- setdiff(forms, abilities$form)
  if (length(absent) > 0) {
    user_error(
      "--forms: no abilities for form ",
      listed(absent),
      "; --abilities holds ",
      listed(unique(abilities$form))
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
benchmark_scores <- function(full_scores, benchmark) {
  if (!benchmark %in% full_scores$benchmark) {
    user_error(
      "--benchmark ",
      benchmark,
      ": --full-scores only holds ",
      listed(unique(full_scores$benchmark)),
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
form_lengths <- function(selection, benchmark, forms) {
  counts <- table(selection$form[selection$benchmark == benchmark])
  absent <- setdiff(forms, names(counts))
  if (length(absent) > 0) {
    user_error(
      "--selection: no items of benchmark '",
      benchmark,
      "' for form ",
      listed(absent),
      "; give the selection that the abilities were estimated ",
      "on, or choose forms by --forms"
    )
  }
  stats::setNames(as.integer(counts[forms]), forms)
}

#' Join abilities, full scores and sets
#'
#' @param abilities `abilities` table of one form.
#' @param scores `full_scores` table of one benchmark.
#' @param splits `splits` table.
#' @return Data frame of the subjects that are in all three: subject, theta,
#'   se, full_score (points), set, fold.
readout_data <- function(abilities, scores, splits) {
  form <- abilities$form[1]
  data <- merge(
    abilities[c("subject", "theta", "se")],
    scores[c("subject", "full_score")]
  )
  if (nrow(data) == 0) {
    user_error(
      "--abilities, --full-scores: no subject of form '",
      form,
      "' has a full ",
      "score on '",
      scores$benchmark[1],
      "'; give tables of the same subjects"
    )
  }
  data <- merge(data, splits[c("subject", "set", "fold")])
  train <- data$set == "train"
  if (sum(train) < 50) {
    user_error(
      "form '",
      form,
      "': ",
      sum(train),
      " training subjects have an ability ",
      "and a full score; a read-out needs at least 50: add subjects, enlarge ",
      "the training set, or let subjects that answered fewer items have a ",
      "full score (config key 'coverage')"
    )
  }
  if (anyNA(data$fold[train]) || length(unique(data$fold[train])) < 2) {
    user_error(
      "--splits: training subjects need a fold, and at least 2 folds; write ",
      "the splits by split_subjects"
    )
  }
  data
}

#' Fit a generalised additive model
#'
#' @param formula Formula from [parse_formula()].
#' @param data Data frame of training subjects.
#' @return Gaussian `gam`; a user error when the data cannot carry the formula.
fit_gam <- function(formula, data) {
  tryCatch(mgcv::gam(formula, data = data), error = \(e) {
    user_error(
      "--formula '",
      deparse1(formula),
      "' cannot be fitted to ",
      nrow(data),
      " training subjects (",
      conditionMessage(e),
      "); choose a smaller k or ",
      "a simpler smooth"
    )
  })
}

#' Hold values within the range of others
#'
#' @param x,reference Numeric vectors.
#' @return `x`, with what lies outside the range of `reference` at its ends.
clamp <- function(x, reference) {
  pmin(pmax(x, min(reference)), max(reference))
}

#' Predict full scores without extrapolating
#'
#' A spline goes on in the direction of its last few subjects, so predictors
#' outside the training range are held at its ends:
#' \deqn{\hat{y}(x) = f(\min(\max(x, x_{min}), x_{max})),}
#' clipped to \eqn{[0, 100]}.
#'
#' @param model Model from [fit_gam()].
#' @param data Data frame with the predictors.
#' @param train Data frame that the model was fitted to.
#' @return Numeric vector along the rows of `data`, in points.
predict_score <- function(model, data, train) {
  for (name in predictors(stats::formula(model))) {
    data[[name]] <- clamp(data[[name]], train[[name]])
  }
  clamp(as.vector(stats::predict(model, data)), c(0, 100))
}

#' Name the predictors of a formula
#'
#' @param formula Formula.
#' @return Character vector.
predictors <- function(formula) {
  all.vars(formula[[3]])
}

#' Predict the training subjects, each by a model that has not seen it
#'
#' \deqn{\hat{y}_i = \hat{f}_{-k(i)}(\theta_i),}
#' where \eqn{\hat{f}_{-k}} is fitted to the training subjects outside fold
#' \eqn{k}.
#'
#' @param formula Formula from [parse_formula()].
#' @param train Data frame of the training subjects, with `fold`.
#' @return Numeric vector along the rows of `train`, in points.
cross_fit <- function(formula, train) {
  predicted <- numeric(nrow(train))
  for (fold in unique(train$fold)) {
    out <- train$fold == fold
    seen <- train[!out, ]
    predicted[out] <- predict_score(fit_gam(formula, seen), train[out, ], seen)
  }
  predicted
}

#' Model the size of the error as a function of the predicted score
#'
#' Errors are small where the score saturates and larger between.
#' \eqn{\sigma(\hat{y})} is a spline through the absolute residuals, at least
#' a tenth of their mean (and positive), constant outside the range of the
#' training predictions.
#'
#' @param predicted Out-of-fold predictions of training subjects, in points.
#' @param residual Their residuals, in points.
#' @return Function from predicted scores to \eqn{\sigma}, both in points.
error_scale <- function(predicted, residual) {
  size <- abs(residual)
  floor <- max(mean(size) / 10, 1e-6)
  if (length(unique(predicted)) < 20) {
    return(\(at) rep(max(mean(size), floor), length(at)))
  }
  model <- mgcv::gam(size ~ s(predicted, bs = "cr", k = 10))
  \(at) {
    at <- data.frame(predicted = clamp(at, predicted))
    pmax(as.vector(stats::predict(model, at)), floor)
  }
}

#' Quantile of the scaled errors that a new one stays below
#'
#' The \eqn{\lceil (n + 1) \gamma \rceil}-th smallest of the \eqn{n} scores
#' \eqn{|r_i| / \sigma(\hat{y}_i)}; infinite where there is none, and the
#' interval then is the whole range.
#'
#' @param scaled Non-negative numeric vector: \eqn{|r| / \sigma}.
#' @param level Nominal coverage \eqn{\gamma}, 0 to 1.
#' @return One number.
conformal_quantile <- function(scaled, level) {
  # Without the tolerance, a product such as 10 * 0.9 may round up to 10.
  rank <- ceiling((length(scaled) + 1) * level - 1e-9)
  if (rank > length(scaled)) Inf else sort(scaled)[rank]
}

#' Read full scores out of the abilities of one form
#'
#' \deqn{y_i = f(\theta_i) + \epsilon_i}
#' with a spline \eqn{f}. Training subjects are predicted by [cross_fit()],
#' the others by the model of all training subjects. Intervals are locally
#' scaled cross-conformal: with out-of-fold residuals \eqn{r_i} of the \eqn{n}
#' training subjects,
#' \deqn{\hat{y} \pm q \, \sigma(\hat{y}), \qquad q = \textrm{the }
#'   \lceil (n + 1) \gamma \rceil \textrm{-th smallest of }
#'   |r_i| / \sigma(\hat{y}_i),}
#' clipped to \eqn{[0, 100]}. Coverage is close to \eqn{\gamma} for subjects
#' exchangeable with the training subjects; it is not exactly guaranteed, since
#' \eqn{\sigma} is fitted to the same residuals and new subjects are predicted
#' from all folds.
#'
#' @param data Data frame from [readout_data()].
#' @param formula Formula from [parse_formula()].
#' @param level Nominal coverage \eqn{\gamma}, 0 to 1.
#' @param optimism Factor by which \eqn{\sigma} is widened: the training
#'   subjects also chose the items, so that their residuals are too small.
#' @return List of `predictions` (`data` with predicted, lower and upper, in
#'   points), `model` (the `gam` of all training subjects), `scale` (function
#'   from [error_scale()]), `quantile` and `level`.
#' @references Lei J., G'Sell M., Rinaldo A., Tibshirani R. J. & Wasserman L.
#'   (2018). Distribution-free predictive inference for regression. JASA 113,
#'   1094-1111.
#'
#'   Barber R. F., Candes E. J., Ramdas A. & Tibshirani R. J. (2021).
#'   Predictive inference with the jackknife+. Annals of Statistics 49, 486-507.
#'
#'   Wood S. N. (2017). Generalized additive models: an introduction with R.
#'   2nd edition. CRC Press.
fit_readout <- function(data, formula, level = 0.9, optimism = 1) {
  train <- data$set == "train"
  model <- fit_gam(formula, data[train, ])
  data$predicted <- predict_score(model, data, data[train, ])
  data$predicted[train] <- cross_fit(formula, data[train, ])

  residual <- (data$full_score - data$predicted)[train]
  scale <- error_scale(data$predicted[train], residual)
  sigma <- scale(data$predicted)
  q <- optimism * conformal_quantile(abs(residual) / sigma[train], level)
  data$lower <- clamp(data$predicted - q * sigma, c(0, 100))
  data$upper <- clamp(data$predicted + q * sigma, c(0, 100))
  list(
    predictions = data,
    model = model,
    scale = scale,
    quantile = q,
    level = level
  )
}

#' Tabulate a read-out, so that it can be evaluated without R
#'
#' @param fit List from [fit_readout()].
#' @param benchmark,form,readout Keys of the rows.
#' @return `terms` table; its attribute `unsupported` names terms that cannot
#'   be tabulated.
as_terms <- function(fit, benchmark, form, readout) {
  train <- fit$predictions[fit$predictions$set == "train", ]
  tabulated <- tabulate_terms(fit$model, train)
  interval <- tabulate_interval(
    fit$scale,
    train$predicted,
    fit$quantile,
    fit$level
  )
  rows <- rbind(tabulated$rows, interval)
  keys <- data.frame(benchmark = benchmark, form = form, readout = readout)
  structure(
    cbind(keys[rep(1, nrow(rows)), ], rows, row.names = NULL),
    unsupported = tabulated$unsupported
  )
}

#' Bring predictions into the form of the contract
#'
#' @param predictions Data frame from [fit_readout()].
#' @param benchmark,form,readout Names of the benchmark, form and read-out.
#' @param n_items Items in the form.
#' @param level Nominal coverage of the intervals, 0 to 1.
#' @return `reconstructions` table.
as_reconstructions <- function(
  predictions,
  benchmark,
  form,
  readout,
  n_items,
  level
) {
  data.frame(
    subject = predictions$subject,
    benchmark = benchmark,
    set = predictions$set,
    readout = readout,
    form = form,
    n_items = n_items,
    predictions[c("full_score", "predicted", "lower", "upper")],
    level = level
  )
}

#' Measure how well predictions meet the full scores
#'
#' \deqn{RMSE = \sqrt{\textrm{mean}(e^2)}, \qquad MAE = \textrm{mean}(|e|),
#'   \qquad e = \hat{y} - y.}
#'
#' @param predictions Data frame from [fit_readout()].
#' @return Named list: n, rmse, mae and mean width of the intervals (points),
#'   Spearman correlation, coverage of the intervals (0 to 1).
accuracy <- function(predictions) {
  with(
    predictions,
    list(
      n = length(full_score),
      rmse = sqrt(mean((predicted - full_score)^2)),
      mae = mean(abs(predicted - full_score)),
      # Undefined, and no cause for a warning, where either does not vary.
      spearman = suppressWarnings(
        stats::cor(predicted, full_score, method = "spearman")
      ),
      coverage = mean(lower <= full_score & full_score <= upper),
      mean_width = mean(upper - lower)
    )
  )
}

#' Describe a read-out
#'
#' @param fit List from [fit_readout()].
#' @return Named list: formula, edf (with the intercept), share of deviance
#'   explained, training subjects, subjects with a predictor outside the
#'   training range, and the accuracy in each set.
describe_readout <- function(fit) {
  predictions <- fit$predictions
  train <- predictions[predictions$set == "train", ]
  outside <- vapply(
    predictors(stats::formula(fit$model)),
    \(name) predictions[[name]] != clamp(predictions[[name]], train[[name]]),
    logical(nrow(predictions))
  )
  list(
    formula = deparse1(stats::formula(fit$model)),
    edf = sum(fit$model$edf),
    deviance_explained = summary(fit$model)$dev.expl,
    n_train = nrow(train),
    n_clamped = sum(rowSums(outside) > 0),
    sets = lapply(split(predictions, predictions$set), accuracy)
  )
}
