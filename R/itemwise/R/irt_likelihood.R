# Priors and marginal likelihood of item response models.
#
# Every model is a case of the four-parameter logistic, in mirt's
# slope-intercept form,
#   P(x = 1 | theta) = g + (u - g) / (1 + exp(-(a theta + d))),
# with theta ~ N(0, 1), and N(0, I) with one slope a dimension where there are
# several.

# ---- Priors ------------------------------------------------------------------

#' Read the weak priors, which both engines share
#'
#' Independent normal priors on \eqn{a}, \eqn{d}, \eqn{\mathrm{logit}\, g} and
#' \eqn{\mathrm{logit}\, u}. mirt estimates the asymptotes as these logits, and
#' its `norm` priors act on them, not on \eqn{g} and \eqn{u}.
#'
#' @return Named list: mean and standard deviation of the prior on `a`, `d`,
#'   `g` and `u`.
#' @noRd
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
#' @noRd
default_prior <- function(model) {
  if (model %in% c("3PL", "4PL")) "weak" else "none"
}

#' Name the parameters that a model leaves free
#'
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return Character vector, of `a`, `d`, `g` and `u` in this order.
#' @noRd
free_parameters <- function(model) {
  c("a", "d", "g", "u")[seq_len(max(2, as.integer(substr(model, 1, 1))))]
}

#' Find the numbers of a prior
#'
#' @param prior `"none"`, `"weak"`, or a named list as from [weak_priors()].
#' @return Such a list; `NULL` for none.
#' @noRd
prior_numbers <- function(prior) {
  if (is.list(prior)) {
    prior
  } else if (prior == "weak") {
    weak_priors()
  }
}

#' Take over the prior of a fit by the native engine
#'
#' @param record Its record.
#' @return `"none"`, `"weak"`, or, where the prior was estimated, a list as
#'   from [weak_priors()]: independent normal priors with the means and standard
#'   deviations of its t distribution, whose correlation and tails mirt lacks.
#' @noRd
prior_of_record <- function(record) {
  if (record$prior != "estimated") {
    return(record$prior)
  }
  numbers <- lapply(record$prior_values[c("a", "d", "g", "u")], unlist)
  freedom <- record$prior_values$degrees_of_freedom
  if (!is.null(freedom)) {
    for (name in c("a", "d")) {
      numbers[[name]][2] <- numbers[[name]][2] * sqrt(freedom / (freedom - 2))
    }
  }
  numbers
}

#' State a model and its priors in the syntax of `mirt::mirt.model()`
#'
#' The prior of a slope that all items share counts once.
#'
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @param prior `"none"`, `"weak"`, or a list as from [weak_priors()].
#' @param n_items Number of items.
#' @return One string with a line each for the factor, the common slope of the
#'   1PL, and the priors.
#' @noRd
mirt_syntax <- function(model, prior, n_items) {
  lines <- sprintf("F = 1-%d", n_items)
  if (model == "1PL") {
    lines <- c(lines, sprintf("CONSTRAIN = (1-%d, a1)", n_items))
  }
  priors <- prior_numbers(prior)
  if (!is.null(priors)) {
    mirt_names <- c(a = "a1", d = "d", g = "g", u = "u")
    terms <- vapply(
      free_parameters(model),
      \(name) {
        sprintf(
          "(1-%d, %s, norm, %.10g, %.10g)",
          n_items,
          mirt_names[[name]],
          priors[[name]][1],
          priors[[name]][2]
        )
      },
      character(1)
    )
    lines <- c(lines, paste("PRIOR =", paste(terms, collapse = ", ")))
  }
  paste(lines, collapse = "\n")
}

#' Find the moments of the priors on the columns of beta
#'
#' @param beta Matrix from [free_beta()].
#' @param prior `"none"`, `"weak"`, or a list as from [weak_priors()].
#' @param model `"1PL"`, `"2PL"`, `"3PL"` or `"4PL"`.
#' @return List of vectors along the columns: `mean` and `precision`. The one
#'   prior on the slope of the 1PL is shared out among the items.
#' @noRd
prior_moments <- function(beta, prior, model) {
  priors <- prior_numbers(prior)
  if (is.null(priors)) {
    return(list(mean = rep(0, ncol(beta)), precision = rep(0, ncol(beta))))
  }
  moments <- do.call(rbind, priors[colnames(beta)])
  precision <- moments[, 2]^-2
  if (model == "1PL") {
    precision["a"] <- precision["a"] / nrow(beta)
  }
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
#' @noRd
log_prior <- function(beta, prior, model) {
  moments <- prior_moments(beta, prior, model)
  -0.5 * sum(moments$precision * (t(beta) - moments$mean)^2)
}

#' Compute the gradient of the log prior
#'
#' @inheritParams prior_moments
#' @return Matrix like `beta`.
#' @noRd
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
#' @noRd
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
#' @noRd
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
#' @noRd
item_curves <- function(parameters, nodes) {
  z <- slope_matrix(parameters) %*% t(nodes) + parameters$d
  dimnames(z) <- NULL
  rise <- stats::plogis(z)
  fall <- stats::plogis(-z)
  g <- parameters$g
  u <- parameters$u
  if (all(g == 0) && all(u == 1)) {
    return(list(
      rise = rise,
      fall = fall,
      right = rise,
      wrong = fall,
      log_right = stats::plogis(z, log.p = TRUE),
      log_wrong = stats::plogis(-z, log.p = TRUE)
    ))
  }
  tiny <- 1e-300 # keeps logarithms finite
  right <- pmax(g * fall + u * rise, tiny)
  wrong <- pmax((1 - g) * fall + (1 - u) * rise, tiny)
  list(
    rise = rise,
    fall = fall,
    right = right,
    wrong = wrong,
    log_right = log(right),
    log_wrong = log(wrong)
  )
}

#' Sum the exponentials of each row, in logarithms
#'
#' @param x Numeric matrix.
#' @return Numeric vector, \eqn{\log \sum_q \exp x_{jq}}.
#' @noRd
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
#' @inheritParams expected_counts
#' @param visit Function called for a block of subjects with: indicators of
#'   right and of wrong answers (subjects x items), the logarithm of the joint
#'   density at the nodes (subjects x nodes), and the logarithm of the marginal
#'   one.
#' @return List of what `visit` returns, in the order of the subjects.
#' @noRd
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
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param parameters `parameters` table in the order of the columns.
#' @param points Number of quadrature points a dimension.
#' @return One number, in nats.
#' @references Bock R. D. & Aitkin M. (1981). Marginal maximum likelihood
#'   estimation of item parameters: application of an EM algorithm.
#'   Psychometrika 46, 443-459.
#' @export
marginal_log_likelihood <- function(responses, parameters, points = 61) {
  grid <- normal_grid(points, ncol(slope_matrix(parameters)))
  visit_subjects(
    responses,
    parameters,
    grid,
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
#' @inheritParams marginal_log_likelihood
#' @param grid Grid from `normal_grid()`.
#' @return List of matrices, items x nodes: `right` and `wrong`.
#' @references Bock R. D. & Aitkin M. (1981). Marginal maximum likelihood
#'   estimation of item parameters. Psychometrika 46, 443-459.
#' @export
expected_counts <- function(responses, parameters, grid) {
  blocks <- visit_subjects(
    responses,
    parameters,
    grid,
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
#' @noRd
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
#' @param prior `"none"`, `"weak"`, or a list as from [weak_priors()].
#' @param points Number of quadrature points a dimension.
#' @return Matrix as from [free_beta()], in nats a unit of its parameters; the
#'   derivative for a common slope is the sum over the items.
#' @noRd
log_posterior_gradient <- function(
  responses,
  parameters,
  model,
  prior = "none",
  points = 61
) {
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
    by_z %*% grid$nodes,
    rowSums(by_z),
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
#' @noRd
max_gradient <- function(gradient, model) {
  if (model == "1PL") {
    return(max(abs(sum(gradient[, "a"])), abs(gradient[, "d"])))
  }
  max(abs(gradient))
}
