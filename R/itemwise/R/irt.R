# Calibration by the R package mirt. What mirt reports is checked by the
# likelihood of irt_likelihood.R.

#' Check that mirt is installed
#'
#' @return `NULL`; a user error says how to do without.
#' @noRd
check_mirt <- function() {
  if (!requireNamespace("mirt", quietly = TRUE)) {
    user_error(
      "the R package mirt is not installed; install it with ",
      "install.packages(\"mirt\"), or calibrate and score by ",
      "'itemwise fit-irt --engine native', which needs no R package"
    )
  }
}

#' Call mirt, and keep what it says
#'
#' @param expr Call of a function of mirt.
#' @return List: its `value`, and its messages and warnings as `notices`. An
#'   error of mirt becomes a user error.
#' @noRd
with_notices <- function(expr) {
  notices <- character()
  note <- \(condition) {
    notices <<- c(notices, trimws(conditionMessage(condition)))
  }
  value <- tryCatch(
    withCallingHandlers(
      expr,
      message = \(m) {
        note(m)
        invokeRestart("muffleMessage")
      },
      warning = \(w) {
        note(w)
        invokeRestart("muffleWarning")
      }
    ),
    user_error = \(e) stop(e),
    error = \(e) {
      user_error(
        "mirt stopped: ",
        conditionMessage(e),
        "; check the responses, or choose a smaller model"
      )
    }
  )
  list(value = value, notices = unique(notices))
}

#' Largest derivative of the log posterior at which a fit counts as converged
#'
#' In nats per unit of a parameter. mirt stops when no parameter moves by more
#' than its tolerance, which far from the maximum says that it is slow rather
#' than there.
#' @noRd
gradient_bound <- 1

# A gradient this small is a maximum, whatever mirt's flag says.
gradient_vanished <- 0.1

#' Calibrate items by mirt
#'
#' Marginal maximum likelihood, or its penalised form where there are priors,
#' by the EM algorithm of Bock & Aitkin (1981) or by the Metropolis-Hastings
#' Robbins-Monro algorithm, as implemented in mirt (Chalmers 2012).
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`; every item
#'   has right and wrong answers.
#' @param model `"1PL"` (one slope for all items), `"2PL"`, `"3PL"` or `"4PL"`.
#' @param prior `"none"` or `"weak"`; `NULL` for what suits the model. A named
#'   list of mean and standard deviation of `a`, `d`, `g` and `u` for normal
#'   priors that a fit by the native engine has estimated.
#' @param quadrature Equally spaced points on `[-6, 6]` a dimension; `NULL` for
#'   61 in one dimension and what mirt takes in several.
#' @param standard_errors Whether to add `se_a`, `se_d`, `se_g` and `se_u` from
#'   the observed information (Oakes' identity).
#' @param method `"EM"` or `"MHRM"`; the latter suits many dimensions.
#' @param dimensions Number of abilities; above 1 an exploratory 2PL.
#' @param technical Named list of technical options of mirt, which take
#'   precedence.
#' @param tolerance Largest change of a parameter in the last cycle; `NULL` for
#'   mirt's default.
#' @param max_cycles Bound on the cycles.
#' @param seed Seed of the random numbers, which MHRM draws.
#' @return List: `parameters` (table of the contract), `record` (see the data
#'   contract), `model` (mirt's object) and, where there are several dimensions,
#'   `loadings`. With several dimensions `a` is the multidimensional
#'   discrimination \eqn{\sqrt{\sum_k a_k^2}} (Reckase 1985), and `a1`, `a2`,
#'   ... are the slopes.
#' @references Chalmers R. P. (2012). mirt: a multidimensional item response
#'   theory package for the R environment. Journal of Statistical Software
#'   48(6), 1-29.
#'
#'   Reckase M. D. (1985). The difficulty of test items that measure more than
#'   one ability. Applied Psychological Measurement 9, 401-412.
#' @export
fit_mirt <- function(
  responses,
  model = "2PL",
  prior = NULL,
  quadrature = NULL,
  standard_errors = FALSE,
  method = "EM",
  dimensions = 1,
  technical = list(),
  tolerance = NULL,
  max_cycles = 1000,
  seed = 1
) {
  check_mirt()
  prior <- if (is.null(prior)) default_prior(model) else prior
  if (dimensions > 1 && (model != "2PL" || !identical(prior, "none"))) {
    user_error(
      "--dimensions ",
      dimensions,
      ": needs --model 2PL and --prior none"
    )
  }
  points <- quadrature
  if (is.null(points)) {
    points <- c(61, 31, 15, 9, 7)[min(dimensions, 5)]
  }
  specification <- dimensions
  if (dimensions == 1) {
    specification <- mirt::mirt.model(
      mirt_syntax(model, prior, ncol(responses))
    )
  }
  defaults <- list(theta_lim = c(-6, 6), NCYCLES = max_cycles)
  set.seed(seed)
  fit <- with_notices(mirt::mirt(
    as.data.frame(responses, optional = TRUE),
    specification,
    itemtype = if (model == "1PL") "2PL" else model,
    method = method,
    SE = standard_errors,
    quadpts = points,
    TOL = tolerance,
    technical = utils::modifyList(defaults, technical),
    verbose = FALSE
  ))
  parameters <- mirt_parameters(fit$value, dimensions)
  list(
    parameters = if (standard_errors) {
      cbind(parameters, mirt_standard_errors(fit$value, parameters))
    } else {
      parameters
    },
    record = mirt_record(
      fit,
      parameters,
      responses,
      model,
      prior,
      points,
      standard_errors
    ),
    model = fit$value,
    loadings = if (dimensions > 1) mirt_loadings(fit$value)
  )
}

#' Read the item parameters of a fit
#'
#' @param fit Object of mirt.
#' @param dimensions Number of abilities.
#' @return `parameters` table without standard errors.
#' @noRd
mirt_parameters <- function(fit, dimensions = 1) {
  values <- mirt::coef(fit, simplify = TRUE)$items
  slopes <- values[, paste0("a", seq_len(dimensions)), drop = FALSE]
  parameters <- data.frame(
    item = mirt::extract.mirt(fit, "itemnames"),
    a = if (dimensions == 1) slopes[, 1] else sqrt(rowSums(slopes^2)),
    d = values[, "d"],
    g = values[, "g"],
    u = values[, "u"],
    row.names = NULL
  )
  if (dimensions == 1) {
    return(parameters)
  }
  cbind(parameters, slopes, row.names = NULL)
}

#' Read the standard errors of a fit
#'
#' mirt gives those of \eqn{\mathrm{logit}\, g} and \eqn{\mathrm{logit}\, u};
#' the delta method turns them into
#' \eqn{\mathrm{se}(g) = g (1 - g)\, \mathrm{se}(\mathrm{logit}\, g)}.
#'
#' @param fit Object of mirt.
#' @param parameters Its `parameters` table.
#' @return Data frame of `se_a`, `se_d`, `se_g` and `se_u`; `NA` for parameters
#'   that were not estimated and where the information is singular. Slopes of
#'   several dimensions are known up to rotation only, so theirs are `NA`.
#' @noRd
mirt_standard_errors <- function(fit, parameters) {
  items <- mirt::coef(fit, printSE = TRUE)[parameters$item]
  columns <- c(a = "a1", d = "d", g = "logit(g)", u = "logit(u)")
  errors <- t(vapply(
    items,
    \(item) {
      known <- "SE" %in% rownames(item) & columns %in% colnames(item)
      values <- rep(NA_real_, 4)
      values[known] <- item["SE", columns[known]]
      values
    },
    numeric(4)
  ))
  errors[!is.finite(errors)] <- NA
  if (!is.null(parameters$a1)) {
    errors[, 1] <- NA
  }
  data.frame(
    se_a = errors[, 1],
    se_d = errors[, 2],
    se_g = errors[, 3] * parameters$g * (1 - parameters$g),
    se_u = errors[, 4] * parameters$u * (1 - parameters$u),
    row.names = NULL
  )
}

#' Rotate the loadings of a multidimensional fit
#'
#' @param fit Object of mirt.
#' @return Data frame with one row an item and factor: `item`, `factor`,
#'   `loading` after oblimin rotation, and `communality`.
#' @noRd
mirt_loadings <- function(fit) {
  rotated <- mirt::summary(fit, rotate = "oblimin", verbose = FALSE)
  loadings <- unclass(rotated$rotF)
  data.frame(
    item = rep(rownames(loadings), ncol(loadings)),
    factor = rep(seq_len(ncol(loadings)), each = nrow(loadings)),
    loading = as.vector(loadings),
    communality = rep(as.vector(rotated$h2), ncol(loadings))
  )
}

#' Describe a fit
#'
#' @param fit List from [with_notices()] around mirt's object.
#' @param parameters,responses,model,prior,points,standard_errors As in
#'   [fit_mirt()].
#' @return Named list with the keys of the native engine's record. The
#'   log-likelihoods are our own, by [marginal_log_likelihood()], without prior
#'   and on the same grid as the native engine's; `log_likelihood_mirt` is what
#'   mirt reports.
#' @noRd
mirt_record <- function(
  fit,
  parameters,
  responses,
  model,
  prior,
  points,
  standard_errors
) {
  m <- fit$value
  at <- \(points) marginal_log_likelihood(responses, parameters, points)
  log_likelihood <- at(points)
  beta <- free_beta(parameters, model)
  gradient <- log_posterior_gradient(
    responses,
    parameters,
    model,
    prior,
    points
  )
  n <- count_parameters(beta, model, ncol(slope_matrix(parameters)))
  times <- mirt::extract.mirt(m, "time")
  record <- list(
    engine = "mirt",
    version = as.character(utils::packageVersion("mirt")),
    model = model,
    prior = if (is.list(prior)) "estimated" else prior,
    prior_values = prior_numbers(prior),
    quadrature = list(points = points, from = -6, to = 6),
    log_likelihood = log_likelihood,
    log_likelihood_fine = at(2 * points - 1),
    log_likelihood_mirt = mirt::extract.mirt(m, "logLik"),
    log_posterior = log_likelihood + log_prior(beta, prior, model),
    converged = FALSE,
    converged_mirt = mirt::extract.mirt(m, "converged"),
    max_gradient = max_gradient(gradient, model),
    n_iterations = mirt::extract.mirt(m, "iterations"),
    n_subjects = nrow(responses),
    n_items = ncol(responses),
    n_responses = sum(!is.na(responses)),
    n_parameters = n,
    aic = 2 * n - 2 * log_likelihood,
    bic = log(nrow(responses)) * n - 2 * log_likelihood
  ) |>
    c(flagged_items(parameters, beta))
  # mirt's flag looks at the last step alone: it calls fits converged that are
  # far from the maximum, and others not whose gradient has vanished.
  bound <- if (record$converged_mirt) gradient_bound else gradient_vanished
  record$converged <- record$max_gradient <= bound
  record$seconds <- times[["TOTAL:"]] - times[["SE"]]
  if (standard_errors) {
    record$standard_errors <- "observed information"
    record$seconds_standard_errors <- times[["SE"]]
  }
  record$notices <- I(c(fit$notices, mirt_doubts(record)))
  record
}

#' Count the parameters of a model
#'
#' @param beta Matrix from [free_beta()].
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @param dimensions Number of abilities, whose rotation is not identified.
#' @return One number.
#' @noRd
count_parameters <- function(beta, model, dimensions = 1) {
  if (model == "1PL") {
    return(nrow(beta) + 1)
  }
  length(beta) - dimensions * (dimensions - 1) / 2
}

#' Name items with odd parameters
#'
#' @param parameters `parameters` table.
#' @param beta Its matrix from [free_beta()].
#' @return List of item names: negative slopes, slopes beyond 8, asymptotes
#'   within 0.001 of 0 (g) or 1 (u), and parameters that ran off, beyond 30
#'   (slopes) or 10 (logits).
#' @noRd
flagged_items <- function(parameters, beta) {
  asymptotes <- intersect(c("g", "u"), colnames(beta))
  at_bound <- cbind(g = parameters$g, u = 1 - parameters$u) < 1e-3
  bound <- ifelse(colnames(beta) %in% asymptotes, 10, 30)
  bound[colnames(beta) == "d"] <- Inf
  far <- which(sweep(abs(beta), 2, bound, ">"), arr.ind = TRUE)
  name <- \(chosen) I(parameters$item[chosen])
  list(
    negative_slopes = name(parameters$a < 0),
    steep_slopes = name(abs(parameters$a) > 8),
    items_at_bounds = name(rowSums(at_bound[, asymptotes, drop = FALSE]) > 0),
    ran_off = I(paste(
      parameters$item[far[, 1]],
      colnames(beta)[far[, 2]],
      recycle0 = TRUE
    ))
  )
}

#' Say where a fit contradicts what mirt reports
#'
#' @param record Record of the fit.
#' @return Character vector of notices.
#' @noRd
mirt_doubts <- function(record) {
  difference <- record$log_likelihood - record$log_likelihood_mirt
  c(
    if (record$converged_mirt && !record$converged) {
      sprintf(
        "mirt reports convergence, but the gradient is %.3g nats (bound %g)",
        record$max_gradient,
        gradient_bound
      )
    },
    if (!isTRUE(abs(difference) < 0.1)) {
      sprintf(
        "mirt reports the log-likelihood %.4f, at the estimates it is %.4f",
        record$log_likelihood_mirt,
        record$log_likelihood
      )
    },
    if (length(record$ran_off) > 0) {
      paste("parameters that ran off:", format_list(record$ran_off))
    }
  )
}
