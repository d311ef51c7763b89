# From the ability of a model to its full score, with prediction intervals.

#' Hold values within the range of others
#'
#' @param x,reference Numeric vectors.
#' @return `x`, with what lies outside the range of `reference` at its ends.
#' @noRd
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
#' @noRd
predict_score <- function(model, data, train) {
  for (name in predictors(stats::formula(model))) {
    data[[name]] <- clamp(data[[name]], train[[name]])
  }
  clamp(as.vector(stats::predict(model, data)), c(0, 100))
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
#' @noRd
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
#' @references Lei J., G'Sell M., Rinaldo A., Tibshirani R. J. & Wasserman L.
#'   (2018). Distribution-free predictive inference for regression. JASA 113,
#'   1094-1111.
#' @export
error_scale <- function(predicted, residual) {
  size <- abs(residual)
  floor <- max(mean(size) / 10, 1e-6)
  joined <- join_ties(predicted)
  if (length(unique(joined)) < 20) {
    return(\(at) rep(max(mean(size), floor), length(at)))
  }
  model <- fit_smooths(
    size ~ s(predicted, bs = "cr", k = 10),
    data.frame(size, predicted = joined)
  )
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
#' @references Lei J., G'Sell M., Rinaldo A., Tibshirani R. J. & Wasserman L.
#'   (2018). Distribution-free predictive inference for regression. JASA 113,
#'   1094-1111.
#' @export
conformal_quantile <- function(scaled, level) {
  # Without the tolerance, a product such as 10 * 0.9 may round up to 10.
  rank <- ceiling((length(scaled) + 1) * level - 1e-9)
  if (rank > length(scaled)) Inf else sort(scaled)[rank]
}

#' Read full scores out of the abilities of one form
#'
#' \deqn{y_i = f(\theta_i) + \epsilon_i}
#' with a spline \eqn{f}. Each subject is predicted by the model of the other
#' folds (`cross_fit()`). Intervals are locally scaled cross-conformal: with
#' these out-of-fold residuals \eqn{r_i} of the \eqn{n}
#' training subjects,
#' \deqn{\hat{y} \pm q \, \sigma(\hat{y}), \qquad q = \textrm{the }
#'   \lceil (n + 1) \gamma \rceil \textrm{-th smallest of }
#'   |r_i| / \sigma(\hat{y}_i),}
#' clipped to \eqn{[0, 100]}. Coverage is close to \eqn{\gamma} for subjects
#' exchangeable with the training subjects; it is not exactly guaranteed, since
#' \eqn{\sigma} is fitted to the same residuals and new subjects are predicted
#' from all folds.
#'
#' @param data Data frame of the training subjects, from `readout_data()`.
#' @param formula Formula from `parse_formula()`.
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
#' @export
fit_readout <- function(data, formula, level = 0.9, optimism = 1) {
  model <- fit_gam(formula, data)
  data$predicted <- cross_fit(formula, data)
  residual <- data$full_score - data$predicted
  scale <- error_scale(data$predicted, residual)
  sigma <- scale(data$predicted)
  q <- optimism * conformal_quantile(abs(residual) / sigma, level)
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

#' Bring predictions into the form of the contract
#'
#' @param predictions Data frame from [fit_readout()].
#' @param benchmark,form,readout Names of the benchmark, form and read-out.
#' @param n_items Items in the form.
#' @param level Nominal coverage of the intervals, 0 to 1.
#' @return `reconstructions` table.
#' @noRd
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
#' @noRd
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
#' @return Named list: formula, `lowered` (smooths that the data cannot carry as
#'   asked for), edf (with the intercept), share of deviance explained, training
#'   subjects, and how well each is predicted by the others ([accuracy()]).
#' @noRd
describe_readout <- function(fit) {
  list(
    formula = deparse1(stats::formula(fit$model)),
    lowered = as.list(fit$model$lowered),
    edf = sum(fit$model$edf),
    deviance_explained = summary(fit$model)$dev.expl,
    n_train = nrow(fit$predictions),
    cross_fitted = accuracy(fit$predictions)
  )
}
