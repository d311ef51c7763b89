# Does the model as a whole fit, and which of several fits best?

#' Compare observed and expected proportions at each sum score
#'
#' With \eqn{O_{is}} and \eqn{E_{is}} the observed and expected proportions
#' right of item \eqn{i} among the \eqn{N_s} subjects with sum score \eqn{s},
#' \deqn{S\textrm{-}X^2_i = \sum_s N_s
#'   \frac{(O_{is} - E_{is})^2}{E_{is} (1 - E_{is})},}
#' neighbouring scores with few subjects being joined.
#'
#' @param responses Integer matrix of complete responses.
#' @param parameters `parameters` table.
#' @param estimated Whether the parameters come from these responses.
#' @return Data frame with one row an item: `value`, `df`, `p_value`, `rmsea`.
#' @references Orlando M. & Thissen D. (2000). Likelihood-based item-fit indices
#'   for dichotomous item response theory models. Applied Psychological
#'   Measurement 24, 50-64.
#' @export
s_x2 <- function(responses, parameters, estimated = TRUE) {
  model <- fixed_mirt(parameters, responses = responses, estimated = estimated)
  fit <- with_notices(mirt::itemfit(model, fit_stats = "S_X2"))$value
  fit <- fit[match(parameters$item, fit$item), ]
  data.frame(
    value = fit$S_X2,
    df = fit$df.S_X2,
    p_value = fit$p.S_X2,
    rmsea = fit$RMSEA.S_X2
  )
}

#' Judge the fit of the whole model
#'
#' With \eqn{e} the deviations of the first and second moments of the responses
#' from those of the model and \eqn{C} the weights that make it asymptotically
#' chi-squared,
#' \deqn{M_2 = N \, e' C e.}
#' Its cost grows with the sixth power of the number of items:
#' 20 items take a tenth of a second, 60 half a minute.
#'
#' @inheritParams s_x2
#' @return Named list: `m2`, `df`, `p_value`, `rmsea` with its 90 % interval,
#'   `srmsr`, `tli`, `cfi`.
#' @references Maydeu-Olivares A. & Joe H. (2006). Limited information
#'   goodness-of-fit testing in multidimensional contingency tables.
#'   Psychometrika 71, 713-732.
#' @export
m2 <- function(responses, parameters, estimated = TRUE) {
  model <- fixed_mirt(parameters, responses = responses, estimated = estimated)
  fit <- with_notices(mirt::M2(model, calcNull = TRUE))$value
  list(
    m2 = fit$M2,
    df = fit$df,
    p_value = fit$p,
    rmsea = fit$RMSEA,
    rmsea_lower = fit$RMSEA_5,
    rmsea_upper = fit$RMSEA_95,
    srmsr = fit$SRMSR,
    tli = fit$TLI,
    cfi = fit$CFI
  )
}

#' Correlate the residuals of pairs of items
#'
#' Yen's Q3 is the correlation of \eqn{x_{ij} - P_i(\hat\theta_j)} over the
#' subjects that were administered both items. Of \eqn{m} locally independent
#' items the mean is about \eqn{-1 / (m - 1)}, since abilities are estimated
#' from the same answers (at true abilities it would be 0); pairs are judged by
#' their distance from the mean (Christensen et al. 2017).
#'
#' @param cells List from `answer_residuals()`.
#' @return Matrix, items x items.
#' @references Yen W. M. (1984). Effects of local item dependence on the fit and
#'   equating performance of the three-parameter logistic model. Applied
#'   Psychological Measurement 8, 125-145.
#'
#'   Christensen K. B., Makransky G. & Horton M. (2017). Critical values for
#'   Yen's Q3. Applied Psychological Measurement 41, 178-194.
#' @export
q3 <- function(cells) {
  if (!anyNA(cells$residual)) {
    return(suppressWarnings(stats::cor(cells$residual)))
  }
  suppressWarnings(
    stats::cor(cells$residual, use = "pairwise.complete.obs")
  )
}

#' Describe the dependence of items that ability does not explain
#'
#' @param correlations Matrix from [q3()].
#' @param limit Number of pairs named.
#' @return Named list: `mean`, `sd`, `pairs` (their number), `above_0.2` (pairs
#'   that exceed the mean by 0.2) and `largest`, a data frame of the pairs
#'   farthest from the mean.
#' @noRd
describe_q3 <- function(correlations, limit = 20) {
  pairs <- which(upper.tri(correlations) & is.finite(correlations))
  values <- correlations[pairs]
  centre <- mean(values)
  top <- utils::head(order(abs(values - centre), decreasing = TRUE), limit)
  items <- colnames(correlations)
  list(
    mean = centre,
    sd = stats::sd(values),
    pairs = length(values),
    above_0.2 = sum(values - centre > 0.2),
    largest = data.frame(
      first = items[row(correlations)[pairs[top]]],
      second = items[col(correlations)[pairs[top]]],
      q3 = values[top]
    )
  )
}

#' Compare models by information criteria
#'
#' @param responses Integer matrix, subjects x items.
#' @param models Names of models.
#' @param ... Further arguments of [fit_mirt()].
#' @return Data frame with one row a model. The criteria use the log-likelihood
#'   without prior; they favour penalised fits a little less than is fair.
#' @export
compare_models <- function(responses, models, ...) {
  do.call(
    rbind,
    lapply(models, \(model) {
      record <- fit_mirt(responses, model, ...)$record
      as.data.frame(record[c(
        "model",
        "prior",
        "log_likelihood",
        "n_parameters",
        "aic",
        "bic",
        "converged",
        "max_gradient",
        "seconds"
      )])
    })
  )
}
