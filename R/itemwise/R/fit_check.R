# Does the model fit? Statistics of items, persons, pairs of items, the whole.
#
# Infit, outfit, Zh and Q3 are sums over the administered items, written here so
# that missing cells only leave their own terms out; S-X2 and M2 come from mirt
# and need subjects with complete responses.

#' Fewest subjects with complete responses for S-X2 and M2
#' @noRd
least_complete <- 100

#' Compute expected answers and their deviations
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param parameters `parameters` table in the order of the columns.
#' @param theta Numeric vector along the subjects: abilities.
#' @return List of matrices, subjects x items, `NA` where not administered:
#'   `residual` \eqn{x - P}, `variance` \eqn{P (1 - P)}, `right` \eqn{P},
#'   `log_right` and `log_wrong`.
#' @noRd
answer_residuals <- function(responses, parameters, theta) {
  curves <- item_curves(parameters, cbind(theta))
  as_responses <- \(curve) {
    curve <- t(curve)
    curve[is.na(responses)] <- NA
    curve
  }
  right <- as_responses(curves$right)
  list(
    residual = responses - right,
    variance = right * as_responses(curves$wrong),
    right = right,
    log_right = as_responses(curves$log_right),
    log_wrong = as_responses(curves$log_wrong)
  )
}

#' Compute infit and outfit mean squares
#'
#' With \eqn{V = P (1 - P)} and sums over the \eqn{n} administered cells,
#' \deqn{\mathrm{outfit} = \frac{1}{n} \sum \frac{(x - P)^2}{V}, \qquad
#'   \mathrm{infit} = \frac{\sum (x - P)^2}{\sum V},}
#' with variances \eqn{\frac{1}{n^2} \sum \frac{C}{V^2} - \frac{1}{n}} and
#' \eqn{\sum (C - V^2) / (\sum V)^2}, where \eqn{C = V (1 - 3 V)} is the fourth
#' moment. The Wilson-Hilferty cube root makes them nearly standard normal,
#' \deqn{z = (m^{1/3} - 1) \frac{3}{s} + \frac{s}{3}.}
#' Expectation and variance hold at true abilities. Estimated ones follow the
#' answers, so that mean squares come out a little below 1, the more so the
#' fewer items there are.
#'
#' @param cells List from `answer_residuals()`.
#' @param sums `rowSums` (persons) or `colSums` (items).
#' @return Data frame: `outfit`, `z_outfit`, `infit`, `z_infit`.
#' @references Wright B. D. & Masters G. N. (1982). Rating scale analysis. MESA
#'   Press.
#' @export
mean_squares <- function(cells, sums) {
  total <- \(x) sums(x, na.rm = TRUE)
  v <- cells$variance
  n <- sums(!is.na(v))
  outfit <- total(cells$residual^2 / v) / n
  infit <- total(cells$residual^2) / total(v)
  outfit_variance <- total((1 - 3 * v) / v) / n^2 - 1 / n
  infit_variance <- total(v * (1 - 4 * v)) / total(v)^2
  data.frame(
    outfit = outfit,
    z_outfit = cube_root_z(outfit, outfit_variance),
    infit = infit,
    z_infit = cube_root_z(infit, infit_variance),
    row.names = NULL
  )
}

#' Standardise a mean square
#'
#' \deqn{z = (m^{1/3} - 1) \frac{3}{s} + \frac{s}{3}}
#'
#' @param mean_square,variance Numeric vectors: \eqn{m} and \eqn{s^2}.
#' @return Numeric vector, `NA` where the variance vanishes.
#' @references Wilson E. B. & Hilferty M. M. (1931). The distribution of
#'   chi-square. PNAS 17, 684-688.
#' @export
cube_root_z <- function(mean_square, variance) {
  s <- sqrt(pmax(variance, 0))
  ifelse(s > 0, (mean_square^(1 / 3) - 1) * 3 / s + s / 3, NA)
}

#' Compute the person-fit statistic Zh
#'
#' \deqn{Z_h = \frac{l - \mathrm{E}(l)}{\sqrt{\mathrm{Var}(l)}}, \qquad
#'   l = \sum_i x_i \log P_i + (1 - x_i) \log(1 - P_i),}
#' with \eqn{\mathrm{Var}(l) = \sum_i P_i (1 - P_i)
#' \log^2(P_i / (1 - P_i))}. Small values are answers that are unlikely under
#' the model. At an estimated ability the statistic varies less than a standard
#' normal one, so its p values are conservative.
#'
#' @param responses Integer matrix, subjects x items.
#' @param cells List from `answer_residuals()`.
#' @return Numeric vector along the subjects.
#' @references Drasgow F., Levine M. V. & Williams E. A. (1985). Appropriateness
#'   measurement with polychotomous item response models and standardized
#'   indices. British Journal of Mathematical and Statistical Psychology 38,
#'   67-86.
#' @export
person_fit_zh <- function(responses, cells) {
  # l - E(l) has one term a cell: (x - P) times the log odds.
  log_odds <- cells$log_right - cells$log_wrong
  deviation <- rowSums(cells$residual * log_odds, na.rm = TRUE)
  variance <- rowSums(cells$variance * log_odds^2, na.rm = TRUE)
  unname(ifelse(variance > 0, deviation / sqrt(variance), NA))
}

#' Judge the fit of persons
#'
#' @param responses Integer matrix, subjects x items.
#' @param cells List from `answer_residuals()`.
#' @param benchmark Name of the benchmark.
#' @return `person_fit` table: `Zh` (p value one-sided, for answers too unlikely
#'   under the model), `outfit` and `infit` (two-sided).
#' @export
person_fit <- function(responses, cells, benchmark) {
  squares <- mean_squares(cells, rowSums)
  value <- person_fit_zh(responses, cells)
  long_table(
    list(benchmark = benchmark, subject = rownames(responses)),
    Zh = list(value = value, p_value = stats::pnorm(value)),
    outfit = two_sided(squares$outfit, squares$z_outfit),
    infit = two_sided(squares$infit, squares$z_infit)
  )
}

#' Judge the fit of items
#'
#' @param responses Integer matrix, subjects x items.
#' @param cells List from `answer_residuals()`.
#' @param benchmark Name of the benchmark.
#' @param s_x2 Data frame from [s_x2()], or `NULL`.
#' @return `item_fit` table: `outfit` and `infit` (two-sided p values) and,
#'   where given, `S_X2` and its `RMSEA_S_X2`.
#' @export
item_fit <- function(responses, cells, benchmark, s_x2 = NULL) {
  squares <- mean_squares(cells, colSums)
  keys <- list(benchmark = benchmark, item = colnames(responses))
  add_df <- \(statistic) c(statistic, list(df = rep(NA_real_, ncol(responses))))
  statistics <- list(
    outfit = add_df(two_sided(squares$outfit, squares$z_outfit)),
    infit = add_df(two_sided(squares$infit, squares$z_infit))
  )
  if (!is.null(s_x2)) {
    statistics$S_X2 <- s_x2[c("value", "df", "p_value")]
    statistics$RMSEA_S_X2 <- list(
      value = s_x2$rmsea,
      df = NA_real_,
      p_value = NA_real_
    )
  }
  do.call(long_table, c(list(keys), statistics))
}

#' Pair a statistic with the p value of its standardised form
#'
#' @param value,z Numeric vectors.
#' @return List: `value`, `p_value`.
#' @noRd
two_sided <- function(value, z) {
  list(value = value, p_value = 2 * stats::pnorm(-abs(z)))
}

#' Stack statistics
#'
#' @param keys Named list of key columns.
#' @param ... Named statistics, each a list of columns.
#' @return Data frame with the keys, `statistic` and the columns; values that
#'   are not finite are `NA`.
#' @noRd
long_table <- function(keys, ...) {
  statistics <- list(...)
  do.call(
    rbind,
    lapply(names(statistics), \(name) {
      columns <- lapply(statistics[[name]], \(x) {
        ifelse(is.finite(x), as.numeric(x), NA_real_)
      })
      data.frame(keys, statistic = name, columns, row.names = NULL)
    })
  )
}

#' Match abilities to subjects
#'
#' @param responses Integer matrix, subjects x items.
#' @param parameters `parameters` table.
#' @param abilities `abilities` table, or `NULL` to estimate them by EAP.
#' @return Numeric vector along the subjects.
#' @noRd
known_abilities <- function(responses, parameters, abilities = NULL) {
  if (is.null(abilities)) {
    return(score_mirt(responses, parameters, "EAP")$theta)
  }
  if (anyDuplicated(abilities$subject)) {
    user_error(
      "--abilities: subject '",
      abilities$subject[anyDuplicated(abilities$subject)],
      "' has several ",
      "abilities; keep those of one form and estimator"
    )
  }
  theta <- abilities$theta[match(rownames(responses), abilities$subject)]
  if (all(is.na(theta))) {
    user_error(
      "--abilities: no subject of the responses has an ability; give the ",
      "abilities of the same subjects"
    )
  }
  theta
}

#' Choose the subjects with complete responses, where they are enough
#'
#' @param responses Integer matrix, subjects x items.
#' @return The complete rows; `NULL` where they are fewer than 100 or leave an
#'   item constant.
#' @noRd
complete_responses <- function(responses) {
  x <- responses[stats::complete.cases(responses), , drop = FALSE]
  means <- colMeans(x)
  if (nrow(x) < least_complete || any(means == 0 | means == 1)) NULL else x
}

#' Summarise the fit of items or persons
#'
#' @param fit `item_fit` or `person_fit` table.
#' @return Named list, one element a statistic: median and range of its values,
#'   and the share with a p value below 0.05 after the correction of Benjamini &
#'   Hochberg (1995) for their number.
#' @noRd
summarise_fit <- function(fit) {
  lapply(split(fit, fit$statistic), \(rows) {
    p <- stats::p.adjust(rows$p_value, "BH")
    quantiles <- stats::quantile(
      rows$value,
      c(0, 0.5, 1),
      names = FALSE,
      na.rm = TRUE
    )
    list(
      n = sum(!is.na(rows$value)),
      minimum = quantiles[1],
      median = quantiles[2],
      maximum = quantiles[3],
      misfit_share = if (all(is.na(p))) NA else mean(p < 0.05, na.rm = TRUE)
    )
  })
}

#' Choose the responses to calibrated items
#'
#' @param responses Integer matrix, subjects x items.
#' @param parameters `parameters` table.
#' @return The columns of items that have parameters. A message names how many
#'   have none: constant items have been dropped by the calibration.
#' @noRd
calibrated_responses <- function(responses, parameters) {
  calibrated <- intersect(parameters$item, colnames(responses))
  if (length(calibrated) < 2) {
    user_error(
      "--parameters: ",
      length(calibrated),
      " of its items occur in the ",
      "responses, at least 2 needed; give those calibrated from them"
    )
  }
  left_out <- ncol(responses) - length(calibrated)
  if (left_out > 0) {
    message("left out ", left_out, " items without parameters")
  }
  responses <- responses[, calibrated, drop = FALSE]
  check_answered(responses)
  responses
}

#' Say which statistics were left out, and why
#'
#' @param opts Parsed options.
#' @param complete Complete responses, or `NULL`.
#' @param n_items Number of items.
#' @return Character vector of notices.
#' @noRd
skipped <- function(opts, complete, n_items) {
  wanted <- c("S-X2", "M2")[c(opts$s_x2, opts$m2)]
  if (is.null(complete) && length(wanted) > 0) {
    return(paste0(
      paste(wanted, collapse = " and "),
      " left out: fewer than ",
      least_complete,
      " subjects with complete responses, or an item constant ",
      "among them"
    ))
  }
  if ("M2" %in% wanted && n_items > opts$m2_items) {
    return(paste0(
      "M2 left out: ",
      n_items,
      " items are more than --m2-items ",
      opts$m2_items
    ))
  }
  character()
}
