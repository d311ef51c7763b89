# Item response models by the R package mirt: calibration and scoring.
#
# Every model is a case of the four-parameter logistic, in mirt's
# slope-intercept form,
#   P(x = 1 | theta) = g + (u - g) / (1 + exp(-(a theta + d))),
# with theta ~ N(0, 1), and N(0, I) with one slope a dimension where there are
# several. What mirt reports is checked here by a likelihood of our own.

# ---- Priors ------------------------------------------------------------------

#' Read the weak priors, which both engines share
#'
#' Independent normal priors on \eqn{a}, \eqn{d}, \eqn{\mathrm{logit}\, g} and
#' \eqn{\mathrm{logit}\, u}. mirt estimates the asymptotes as these logits, and
#' its `norm` priors act on them, not on \eqn{g} and \eqn{u}.
#'
#' @return Named list: mean and standard deviation of the prior on `a`, `d`,
#'   `g` and `u`.
weak_priors <- function() {
  priors <- utils::read.csv(
    file.path(project_root(), "python/itemwise/irt/weak_prior.csv")
  )
  stats::setNames(Map(c, priors$mean, priors$sd), priors$parameter)
}

#' Choose the prior that suits a model
#'
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return `"weak"` for models with asymptotes, which data often leave open;
#'   `"none"` for the others.
default_prior <- function(model) {
  if (model %in% c("3PL", "4PL")) "weak" else "none"
}

#' Name the parameters that a model leaves free
#'
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return Character vector, of `a`, `d`, `g` and `u` in this order.
free_parameters <- function(model) {
  c("a", "d", "g", "u")[seq_len(max(2, as.integer(substr(model, 1, 1))))]
}

#' State a model and its priors in the syntax of `mirt::mirt.model()`
#'
#' The prior of a slope that all items share counts once.
#'
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @param prior `"none"` or `"weak"`.
#' @param n_items Number of items.
#' @return One string with a line each for the factor, the common slope of the
#'   1PL, and the priors.
mirt_syntax <- function(model, prior, n_items) {
  lines <- sprintf("F = 1-%d", n_items)
  if (model == "1PL") {
    lines <- c(lines, sprintf("CONSTRAIN = (1-%d, a1)", n_items))
  }
  if (prior == "weak") {
    priors <- weak_priors()
    mirt_names <- c(a = "a1", d = "d", g = "g", u = "u")
    terms <- vapply(free_parameters(model), \(name) {
      sprintf(
        "(1-%d, %s, norm, %.10g, %.10g)", n_items, mirt_names[[name]],
        priors[[name]][1], priors[[name]][2]
      )
    }, character(1))
    lines <- c(lines, paste("PRIOR =", paste(terms, collapse = ", ")))
  }
  paste(lines, collapse = "\n")
}

#' Find the moments of the priors on the columns of beta
#'
#' @param beta Matrix from [free_beta()].
#' @param prior `"none"` or `"weak"`.
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return List of vectors along the columns: `mean` and `precision`. The one
#'   prior on the slope of the 1PL is shared out among the items.
prior_moments <- function(beta, prior, model) {
  if (prior == "none") {
    return(list(mean = rep(0, ncol(beta)), precision = rep(0, ncol(beta))))
  }
  moments <- do.call(rbind, weak_priors()[colnames(beta)])
  precision <- moments[, 2]^-2
  if (model == "1PL") precision["a"] <- precision["a"] / nrow(beta)
  list(mean = moments[, 1], precision = precision)
}

#' Compute the log density of the priors
#'
#' \deqn{\log p(\beta) = -\frac{1}{2} \sum_{ik}
#'   \left( \frac{\beta_{ik} - \mu_k}{\sigma_k} \right)^2}
#' up to its constant, with \eqn{\beta_i = (a_i, d_i, \mathrm{logit}\, g_i,
#' \mathrm{logit}\, u_i)}.
#'
#' @inheritParams prior_moments
#' @return One number.
log_prior <- function(beta, prior, model) {
  moments <- prior_moments(beta, prior, model)
  -0.5 * sum(moments$precision * (t(beta) - moments$mean)^2)
}

#' Compute the gradient of the log prior
#'
#' @inheritParams prior_moments
#' @return Matrix like `beta`.
log_prior_gradient <- function(beta, prior, model) {
  moments <- prior_moments(beta, prior, model)
  t(moments$precision * (moments$mean - t(beta)))
}

# ---- Likelihood --------------------------------------------------------------

#' Make a quadrature grid for the abilities
#'
#' @param points Number of equally spaced points on [-6, 6]; 61 is mirt's.
#' @param dimensions Number of abilities; the grid is the product of their
#'   points.
#' @return List: `nodes` (matrix, nodes x dimensions) and `log_weights`, the
#'   logarithms of the normal density at the nodes, normalised to sum to 1.
normal_grid <- function(points, dimensions = 1) {
  axis <- seq(-6, 6, length.out = points)
  nodes <- as.matrix(expand.grid(rep(list(axis), dimensions)))
  log_density <- -rowSums(nodes^2) / 2
  list(
    nodes = unname(nodes),
    log_weights = log_density - log(sum(exp(log_density)))
  )
}

#' Find the slopes in a table of item parameters
#'
#' @param parameters `parameters` table; several dimensions have the columns
#'   `a1`, `a2`, ... beside `a`.
#' @return Matrix, items x dimensions.
slope_matrix <- function(parameters) {
  several <- grep("^a[0-9]+$", names(parameters), value = TRUE)
  as.matrix(parameters[if (length(several) > 0) several else "a"])
}

#' Compute item response curves
#'
#' No close numbers are subtracted, so that steep items and asymptotes at
#' their bounds keep their precision.
#'
#' @param parameters `parameters` table.
#' @param nodes Matrix, nodes x dimensions: abilities.
#' @return List of matrices, items x nodes: the logistic curve `rise` and one
#'   minus it, `fall`; the probabilities of a right and a wrong answer, `right`
#'   and `wrong`, and their logarithms, `log_right` and `log_wrong`.
item_curves <- function(parameters, nodes) {
  z <- slope_matrix(parameters) %*% t(nodes) + parameters$d
  dimnames(z) <- NULL
  rise <- stats::plogis(z)
  fall <- stats::plogis(-z)
  g <- parameters$g
  u <- parameters$u
  if (all(g == 0) && all(u == 1)) {
    return(list(
      rise = rise, fall = fall, right = rise, wrong = fall,
      log_right = stats::plogis(z, log.p = TRUE),
      log_wrong = stats::plogis(-z, log.p = TRUE)
    ))
  }
  tiny <- 1e-300 # keeps logarithms finite
  right <- pmax(g * fall + u * rise, tiny)
  wrong <- pmax((1 - g) * fall + (1 - u) * rise, tiny)
  list(
    rise = rise, fall = fall, right = right, wrong = wrong,
    log_right = log(right), log_wrong = log(wrong)
  )
}

#' Sum the exponentials of each row, in logarithms
#'
#' @param x Numeric matrix.
#' @return Numeric vector, \eqn{\log \sum_q \exp x_{jq}}.
log_sum_exp <- function(x) {
  top <- x[cbind(seq_len(nrow(x)), max.col(x, "first"))]
  top + log(rowSums(exp(x - top)))
}

#' Go through the subjects with the posterior of their abilities
#'
#' \deqn{\log L_j(\theta_q) = \sum_i x_{ij} \log P_i(\theta_q) +
#'   (1 - x_{ij}) \log(1 - P_i(\theta_q))}
#' over the administered items, formed in logarithms, so that thousands of
#' items do not underflow; \eqn{\log L_j = \log \sum_q w_q L_j(\theta_q)}.
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param parameters `parameters` table in the order of the columns.
#' @param grid Grid from [normal_grid()].
#' @param visit Function called for a block of subjects with: indicators of
#'   right and of wrong answers (subjects x items), the logarithm of the joint
#'   density at the nodes (subjects x nodes), and the logarithm of the marginal
#'   one.
#' @return List of what `visit` returns, in the order of the subjects.
visit_subjects <- function(responses, parameters, grid, visit) {
  stopifnot(ncol(responses) == nrow(parameters))
  curves <- item_curves(parameters, grid$nodes)
  size <- max(1, floor(4e6 / max(length(grid$log_weights), ncol(responses))))
  rows <- seq_len(nrow(responses))
  lapply(split(rows, ceiling(rows / size)), \(block) {
    x <- responses[block, , drop = FALSE]
    administered <- !is.na(x)
    right <- (administered & x == 1) + 0
    wrong <- administered - right
    joint <- right %*% curves$log_right + wrong %*% curves$log_wrong
    joint <- sweep(joint, 2, grid$log_weights, "+")
    visit(right, wrong, joint, log_sum_exp(joint))
  })
}

#' Compute the marginal log-likelihood
#'
#' \deqn{\ell = \sum_j \log \sum_q w_q \prod_i
#'   P_i(\theta_q)^{x_{ij}} (1 - P_i(\theta_q))^{1 - x_{ij}}}
#' (Bock & Aitkin 1981), without any prior on the item parameters.
#'
#' @inheritParams visit_subjects
#' @param points Number of quadrature points a dimension.
#' @return One number, in nats.
#' @references Bock R. D. & Aitkin M. (1981). Marginal maximum likelihood
#'   estimation of item parameters: application of an EM algorithm.
#'   Psychometrika 46, 443-459.
marginal_log_likelihood <- function(responses, parameters, points = 61) {
  grid <- normal_grid(points, ncol(slope_matrix(parameters)))
  visit_subjects(
    responses, parameters, grid,
    \(right, wrong, joint, marginal) sum(marginal)
  ) |>
    unlist() |>
    sum()
}

#' Count the answers that are expected at each node
#'
#' \deqn{r_{iq} = \sum_j x_{ij} p(\theta_q | x_j), \qquad
#'   w_{iq} = \sum_j (1 - x_{ij}) p(\theta_q | x_j)}
#'
#' @inheritParams visit_subjects
#' @return List of matrices, items x nodes: `right` and `wrong`.
expected_counts <- function(responses, parameters, grid) {
  blocks <- visit_subjects(
    responses, parameters, grid,
    \(right, wrong, joint, marginal) {
      posterior <- exp(joint - marginal)
      list(crossprod(right, posterior), crossprod(wrong, posterior))
    }
  )
  list(
    right = Reduce(`+`, lapply(blocks, `[[`, 1)),
    wrong = Reduce(`+`, lapply(blocks, `[[`, 2))
  )
}

#' Put item parameters on the scale on which they are estimated
#'
#' @param parameters `parameters` table.
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return Matrix of the free parameters, items x (`a`, `d`, logits of `g` and
#'   `u`); one column a slope where there are several dimensions.
free_beta <- function(parameters, model) {
  beta <- cbind(slope_matrix(parameters), d = parameters$d)
  for (name in setdiff(free_parameters(model), c("a", "d"))) {
    # Beyond 35 an asymptote is 0 or 1 in double precision.
    logit <- pmin(pmax(stats::qlogis(parameters[[name]]), -35), 35)
    beta <- cbind(beta, logit)
    colnames(beta)[ncol(beta)] <- name
  }
  beta
}

#' Compute the gradient of the log posterior of the item parameters
#'
#' By Fisher's identity the gradient of the marginal log-likelihood is the
#' expectation of the complete-data gradient,
#' \deqn{\frac{\partial \ell}{\partial \beta_{ik}} = \sum_q
#'   \left( \frac{r_{iq}}{P_{iq}} - \frac{w_{iq}}{1 - P_{iq}} \right)
#'   \frac{\partial P_{iq}}{\partial \beta_{ik}},}
#' with the counts of [expected_counts()]; the gradient of the prior is added.
#'
#' @inheritParams visit_subjects
#' @inheritParams free_beta
#' @param prior `"none"` or `"weak"`.
#' @param points Number of quadrature points a dimension.
#' @return Matrix as from [free_beta()], in nats a unit of its parameters; the
#'   derivative for a common slope is the sum over the items.
log_posterior_gradient <- function(responses, parameters, model,
                                   prior = "none", points = 61) {
  beta <- free_beta(parameters, model)
  grid <- normal_grid(points, ncol(slope_matrix(parameters)))
  counts <- expected_counts(responses, parameters, grid)
  curves <- item_curves(parameters, grid$nodes)
  g <- parameters$g
  u <- parameters$u
  residual <- counts$right / curves$right - counts$wrong / curves$wrong
  # No answer is expected where its probability underflows.
  residual[!is.finite(residual)] <- 0
  by_z <- residual * (u - g) * curves$rise * curves$fall
  gradient <- cbind(
    by_z %*% grid$nodes, rowSums(by_z),
    g * (1 - g) * rowSums(residual * curves$fall),
    u * (1 - u) * rowSums(residual * curves$rise)
  )[, seq_len(ncol(beta)), drop = FALSE]
  dimnames(gradient) <- dimnames(beta)
  gradient + log_prior_gradient(beta, prior, model)
}

#' Find the largest derivative of the log posterior
#'
#' @param gradient Matrix from [log_posterior_gradient()].
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return One number.
max_gradient <- function(gradient, model) {
  if (model == "1PL") {
    return(max(abs(sum(gradient[, "a"])), abs(gradient[, "d"])))
  }
  max(abs(gradient))
}

# ---- Data --------------------------------------------------------------------

#' Keep the items that passed the screen
#'
#' @param responses Integer matrix, subjects x items.
#' @param items `items` table with the column `keep`.
#' @return The columns of the items whose `keep` is 1.
screened_items <- function(responses, items) {
  if (is.null(items$keep)) {
    user_error("--items: lacks the column 'keep'; run screen_items.R first")
  }
  kept <- items$item[items$keep == 1]
  absent <- setdiff(kept, colnames(responses))
  if (length(absent) > 0) {
    user_error(
      "--responses: ", length(absent), " items of --items have no column: ",
      listed(absent), "; give the items table written with the responses"
    )
  }
  responses[, kept, drop = FALSE]
}

#' Leave constant items out, or refuse them
#'
#' Items that all subjects answered alike have no maximum-likelihood estimate.
#'
#' @param responses Integer matrix, subjects x items.
#' @param constant_items `"drop"` or `"refuse"`.
#' @return List: `responses` without the constant items, and the names of the
#'   `dropped`.
drop_constant_items <- function(responses, constant_items = "drop") {
  check_answered(responses)
  right <- colSums(responses == 1, na.rm = TRUE) > 0
  wrong <- colSums(responses == 0, na.rm = TRUE) > 0
  varying <- right & wrong
  dropped <- colnames(responses)[!varying]
  if (!any(varying)) {
    user_error(
      "--responses: no item has both right and wrong answers; nothing to ",
      "calibrate"
    )
  }
  if (length(dropped) > 0 && constant_items == "refuse") {
    user_error(
      "--responses: ", length(dropped), " items have only right, only wrong ",
      "or no answers: ", listed(dropped), "; screen them out, or pass ",
      "--constant-items drop"
    )
  }
  list(responses = responses[, varying, drop = FALSE], dropped = dropped)
}

#' Refuse subjects about whom nothing is known
#'
#' @param responses Integer matrix, subjects x items.
#' @return `NULL`; a user error names the subjects without a response.
check_answered <- function(responses) {
  empty <- rowSums(!is.na(responses)) == 0
  if (any(empty)) {
    user_error(
      "--responses: ", sum(empty), " subjects answered none of the items: ",
      listed(rownames(responses)[empty]), "; leave them out"
    )
  }
}

# ---- Calibration -------------------------------------------------------------

#' Check that mirt is installed
#'
#' @return `NULL`; a user error says how to do without.
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
    error = \(e) user_error(
      "mirt stopped: ", conditionMessage(e),
      "; check the responses, or choose a smaller model"
    )
  )
  list(value = value, notices = unique(notices))
}

#' Largest derivative of the log posterior at which a fit counts as converged
#'
#' In nats per unit of a parameter. mirt stops when no parameter moves by more
#' than its tolerance, which far from the maximum says that it is slow rather
#' than there.
gradient_bound <- 1

#' Calibrate items by mirt
#'
#' Marginal maximum likelihood, or its penalised form where there are priors,
#' by the EM algorithm of Bock & Aitkin (1981) or by the Metropolis-Hastings
#' Robbins-Monro algorithm, as implemented in mirt (Chalmers 2012).
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`; every item
#'   has right and wrong answers.
#' @param model `"1PL"` (one slope for all items), `"2PL"`, `"3PL"` or `"4PL"`.
#' @param prior `"none"` or `"weak"`; `NULL` for what suits the model.
#' @param quadrature Equally spaced points on [-6, 6] a dimension; `NULL` for
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
fit_mirt <- function(responses, model = "2PL", prior = NULL, quadrature = NULL,
                     standard_errors = FALSE, method = "EM", dimensions = 1,
                     technical = list(), tolerance = NULL, max_cycles = 1000,
                     seed = 1) {
  check_mirt()
  prior <- if (is.null(prior)) default_prior(model) else prior
  if (dimensions > 1 && (model != "2PL" || prior != "none")) {
    user_error(
      "--dimensions ", dimensions, ": needs --model 2PL and --prior none"
    )
  }
  points <- quadrature
  if (is.null(points)) points <- c(61, 31, 15, 9, 7)[min(dimensions, 5)]
  specification <- dimensions
  if (dimensions == 1) {
    specification <- mirt::mirt.model(
      mirt_syntax(model, prior, ncol(responses))
    )
  }
  defaults <- list(theta_lim = c(-6, 6), NCYCLES = max_cycles)
  set.seed(seed)
  fit <- with_notices(mirt::mirt(
    as.data.frame(responses, optional = TRUE), specification,
    itemtype = if (model == "1PL") "2PL" else model,
    method = method, SE = standard_errors, quadpts = points, TOL = tolerance,
    technical = utils::modifyList(defaults, technical), verbose = FALSE
  ))
  parameters <- mirt_parameters(fit$value, dimensions)
  list(
    parameters = if (standard_errors) {
      cbind(parameters, mirt_standard_errors(fit$value, parameters))
    } else {
      parameters
    },
    record = mirt_record(
      fit, parameters, responses, model, prior, points, standard_errors
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
mirt_parameters <- function(fit, dimensions = 1) {
  values <- mirt::coef(fit, simplify = TRUE)$items
  slopes <- values[, paste0("a", seq_len(dimensions)), drop = FALSE]
  parameters <- data.frame(
    item = mirt::extract.mirt(fit, "itemnames"),
    a = if (dimensions == 1) slopes[, 1] else sqrt(rowSums(slopes^2)),
    d = values[, "d"], g = values[, "g"], u = values[, "u"], row.names = NULL
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
mirt_standard_errors <- function(fit, parameters) {
  items <- mirt::coef(fit, printSE = TRUE)[parameters$item]
  columns <- c(a = "a1", d = "d", g = "logit(g)", u = "logit(u)")
  errors <- t(vapply(items, \(item) {
    known <- "SE" %in% rownames(item) & columns %in% colnames(item)
    values <- rep(NA_real_, 4)
    values[known] <- item["SE", columns[known]]
    values
  }, numeric(4)))
  errors[!is.finite(errors)] <- NA
  if (!is.null(parameters$a1)) errors[, 1] <- NA
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
mirt_record <- function(fit, parameters, responses, model, prior, points,
                        standard_errors) {
  m <- fit$value
  at <- \(points) marginal_log_likelihood(responses, parameters, points)
  log_likelihood <- at(points)
  beta <- free_beta(parameters, model)
  gradient <- log_posterior_gradient(
    responses, parameters, model, prior, points
  )
  n <- count_parameters(beta, model, ncol(slope_matrix(parameters)))
  times <- mirt::extract.mirt(m, "time")
  record <- list(
    engine = "mirt",
    version = as.character(utils::packageVersion("mirt")),
    model = model,
    prior = prior,
    prior_values = if (prior == "weak") weak_priors(),
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
    c(odd_items(parameters, beta))
  record$converged <- record$converged_mirt &&
    record$max_gradient <= gradient_bound
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
odd_items <- function(parameters, beta) {
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
      parameters$item[far[, 1]], colnames(beta)[far[, 2]],
      recycle0 = TRUE
    ))
  )
}

#' Say where a fit contradicts what mirt reports
#'
#' @param record Record of the fit.
#' @return Character vector of notices.
mirt_doubts <- function(record) {
  difference <- record$log_likelihood - record$log_likelihood_mirt
  c(
    if (record$converged_mirt && !record$converged) {
      sprintf(
        "mirt reports convergence, but the gradient is %.3g nats (bound %g)",
        record$max_gradient, gradient_bound
      )
    },
    if (!isTRUE(abs(difference) < 0.1)) {
      sprintf(
        "mirt reports the log-likelihood %.4f, at the estimates it is %.4f",
        record$log_likelihood_mirt, record$log_likelihood
      )
    },
    if (length(record$ran_off) > 0) {
      paste("parameters that ran off:", listed(record$ran_off))
    }
  )
}

# ---- Scoring -----------------------------------------------------------------

#' Build a mirt model whose parameters are all fixed
#'
#' Nothing is estimated, so the data only have to name the items: subjects with
#' 0, 1, ..., all items right give every item both answers and every sum score.
#'
#' @param parameters `parameters` table.
#' @param points Number of quadrature points on [-6, 6].
#' @param responses Integer matrix of real data, for statistics of fit; `NULL`
#'   for the made-up subjects.
#' @param estimated Whether to count the parameters as estimated from these
#'   responses, which takes degrees of freedom from statistics of fit.
#' @return Object of mirt.
fixed_mirt <- function(parameters, points = 61, responses = NULL,
                       estimated = FALSE) {
  check_mirt()
  items <- seq_len(nrow(parameters))
  if (is.null(responses)) {
    responses <- 1L * outer(c(0, items), items, ">=")
    colnames(responses) <- parameters$item
  }
  data <- as.data.frame(responses, optional = TRUE)
  itemtype <- if (any(parameters$u < 1)) {
    "4PL"
  } else if (any(parameters$g > 0)) {
    "3PL"
  } else {
    "2PL"
  }
  common <- length(items) > 1 && length(unique(parameters$a)) == 1
  syntax <- mirt_syntax(if (common) "1PL" else "2PL", "none", length(items))
  specification <- mirt::mirt.model(syntax)
  values <- mirt::mirt(
    data, specification,
    itemtype = itemtype, pars = "values"
  )
  for (name in c("a", "d", "g", "u")) {
    rows <- which(values$name == c(a = "a1", d = "d", g = "g", u = "u")[[name]])
    order <- match(values$item[rows], parameters$item)
    values$value[rows] <- parameters[[name]][order]
  }
  values$est <- values$est & estimated
  with_notices(mirt::mirt(
    data, specification,
    itemtype = itemtype, pars = values, TOL = NaN, quadpts = points,
    technical = list(theta_lim = c(-6, 6)), calcNull = FALSE, verbose = FALSE
  ))$value
}

#' Estimate abilities by mirt with fixed item parameters
#'
#' `MAP` is the mode of the posterior, `EAP` its mean with its standard
#' deviation as error, `EAPsum` the same given the sum score alone, `ML` the
#' mode of the likelihood without prior.
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param parameters `parameters` table; its items are columns of `responses`.
#' @param method `"MAP"`, `"EAP"`, `"EAPsum"` or `"ML"`.
#' @param quadrature Points on [-6, 6]; `NULL` for 61.
#' @return `abilities` table: `subject`, `theta`, `se`, `method`. ML is `NA`
#'   where it has no maximum within [-6, 6], EAPsum for incomplete subjects; a
#'   message says how many.
score_mirt <- function(responses, parameters, method = "EAP",
                       quadrature = NULL) {
  absent <- setdiff(parameters$item, colnames(responses))
  if (length(absent) > 0) {
    user_error(
      "--responses: ", length(absent), " items of --parameters have no ",
      "column: ", listed(absent)
    )
  }
  responses <- responses[, parameters$item, drop = FALSE]
  check_answered(responses)
  points <- if (is.null(quadrature)) 61 else quadrature
  model <- fixed_mirt(parameters, points)
  scores <- if (method == "EAPsum") {
    sum_scores(model, responses, points)
  } else {
    with_notices(mirt::fscores(
      model,
      method = method, response.pattern = unname(responses),
      quadpts = points, theta_lim = c(-6, 6), verbose = FALSE
    ))$value
  }
  lost <- !is.finite(scores[, 1]) | (method == "ML" & abs(scores[, 1]) >= 6)
  scores[lost, ] <- NA
  data.frame(
    subject = rownames(responses), theta = as.vector(scores[, 1]),
    se = as.vector(scores[, 2]), method = method
  )
}

#' Estimate abilities from sum scores
#'
#' @param model Object from [fixed_mirt()], whose subjects have every sum.
#' @param responses Integer matrix, subjects x items.
#' @param points Number of quadrature points.
#' @return Matrix: ability and standard error, `NA` for incomplete subjects.
sum_scores <- function(model, responses, points) {
  table <- with_notices(mirt::fscores(
    model,
    method = "EAPsum", full.scores.SE = TRUE, quadpts = points,
    theta_lim = c(-6, 6), verbose = FALSE
  ))$value
  right <- rowSums(responses)
  if (anyNA(right)) {
    message(
      "EAPsum: ", sum(is.na(right)), " of ", length(right), " subjects lack ",
      "responses and get no ability; use --method EAP"
    )
  }
  table[right + 1, , drop = FALSE]
}

# ---- Options -----------------------------------------------------------------

#' Take options without a value out of the command line
#'
#' @param args Character vector of command-line arguments.
#' @param flags Names of the options without dashes.
#' @return List: the remaining `args`, and `given`, a named logical vector,
#'   hyphens in names being underscores.
take_flags <- function(args, flags) {
  dashed <- paste0("--", flags)
  given <- stats::setNames(dashed %in% args, gsub("-", "_", flags))
  list(args = args[!args %in% dashed], given = given)
}

#' Parse technical options of mirt
#'
#' @param pairs Character vector such as `"NCYCLES=2000"`; `NULL` for none.
#' @return Named list of numbers and logicals.
parse_technical <- function(pairs) {
  parts <- strsplit(as.character(pairs), "=", fixed = TRUE)
  values <- lapply(seq_along(parts), \(index) {
    value <- utils::type.convert(trimws(parts[[index]][2]), as.is = TRUE)
    whole <- length(parts[[index]]) == 2 && nzchar(parts[[index]][1])
    if (!whole || is.na(value) || is.character(value)) {
      user_error(
        "--technical: '", pairs[index], "' is not NAME=NUMBER or NAME=TRUE; ",
        "the names are in ?mirt::mirt"
      )
    }
    value
  })
  stats::setNames(values, vapply(parts, \(part) trimws(part[1]), character(1)))
}

#' Read the responses that calibrate, or that a fit is checked with
#'
#' @param responses `responses` table (file).
#' @param items `items` table (file): only items whose `keep` is 1 are used;
#'   `NULL` for all.
#' @param splits `splits` table (file): only training subjects are used; `NULL`
#'   for all.
#' @return Integer matrix, subjects x items.
read_responses <- function(responses, items = NULL, splits = NULL) {
  x <- responses_matrix(read_table(responses, "responses"))
  if (!is.null(items)) x <- screened_items(x, read_table(items, "items"))
  if (!is.null(splits)) x <- training_responses(x, read_table(splits, "splits"))
  x
}

#' Refuse a fit that has not converged
#'
#' @param record Record of the fit.
#' @param source Where the responses come from, for the message.
#' @return `NULL`; a user error with the remedies.
check_converged <- function(record, source) {
  if (!record$converged) {
    user_error(
      source, ": the ", record$model, " fit has not converged (largest ",
      "gradient ", sprintf("%.3g", record$max_gradient), " after ",
      record$n_iterations, " iterations); raise --max-iterations, choose ",
      "--prior weak or a smaller model, or pass --allow-unconverged"
    )
  }
}

#' Use several threads within mirt
#'
#' @param threads Number of threads.
#' @return `NULL`.
use_threads <- function(threads) {
  if (threads > 1) {
    check_mirt()
    with_notices(mirt::mirtCluster(spec = NULL, omp_threads = threads))
  }
  invisible(NULL)
}

#' Check options of the calibration that depend on each other
#'
#' @param opts Parsed options.
#' @return `NULL`; a user error at the first breach.
check_fit_options <- function(opts) {
  # The points of several dimensions multiply, so that fewer have to do.
  least <- c(
    quadrature = if (opts$dimensions > 1) 5 else 11, dimensions = 1,
    max_iterations = 1, threads = 1
  )
  for (name in names(least)) {
    value <- opts[[name]]
    if (!is.null(value) && value < least[[name]]) {
      user_error(
        "--", gsub("_", "-", name), " ", value, ": is below ", least[[name]]
      )
    }
  }
  if (xor(opts$dimensions > 1, !is.null(opts$loadings))) {
    user_error(
      "--dimensions, --loadings: give --loadings with --dimensions 2 or more, ",
      "and only then"
    )
  }
}
