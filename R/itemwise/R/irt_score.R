# Abilities by the R package mirt, with item parameters fixed.

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
#' @noRd
fixed_mirt <- function(
  parameters,
  points = 61,
  responses = NULL,
  estimated = FALSE
) {
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
    data,
    specification,
    itemtype = itemtype,
    pars = "values"
  )
  for (name in c("a", "d", "g", "u")) {
    rows <- which(values$name == c(a = "a1", d = "d", g = "g", u = "u")[[name]])
    order <- match(values$item[rows], parameters$item)
    values$value[rows] <- parameters[[name]][order]
  }
  values$est <- values$est & estimated
  with_notices(mirt::mirt(
    data,
    specification,
    itemtype = itemtype,
    pars = values,
    TOL = NaN,
    quadpts = points,
    technical = list(theta_lim = c(-6, 6)),
    calcNull = FALSE,
    verbose = FALSE
  ))$value
}

#' Estimate abilities by mirt with fixed item parameters
#'
#' With the posterior \eqn{p(\theta | x) \propto L(x | \theta) \phi(\theta)},
#' `MAP` is its mode and `EAP` its mean with its standard deviation as error,
#' \deqn{\hat{\theta} = \int \theta \, p(\theta | x) \, d\theta, \qquad
#'   \mathrm{se}^2 = \int (\theta - \hat{\theta})^2 p(\theta | x) \, d\theta,}
#' `EAPsum` is the same given the sum score \eqn{\sum_i x_i} alone, and `ML` the
#' mode of the likelihood \eqn{L} without prior.
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param parameters `parameters` table; its items are columns of `responses`.
#' @param method `"MAP"`, `"EAP"`, `"EAPsum"` or `"ML"`.
#' @param quadrature Points on `[-6, 6]`; `NULL` for 61.
#' @return `abilities` table: `subject`, `theta`, `se`, `method`. ML is `NA`
#'   where it has no maximum within `[-6, 6]`, EAPsum for incomplete subjects; a
#'   message says how many.
#' @references Bock R. D. & Mislevy R. J. (1982). Adaptive EAP estimation of
#'   ability in a microcomputer environment. Applied Psychological Measurement
#'   6, 431-444.
#'
#'   Lord F. M. & Wingersky M. S. (1984). Comparison of IRT true-score and
#'   equipercentile observed-score equatings. Applied Psychological
#'   Measurement 8, 453-461.
#' @export
score_mirt <- function(
  responses,
  parameters,
  method = "EAP",
  quadrature = NULL
) {
  absent <- setdiff(parameters$item, colnames(responses))
  if (length(absent) > 0) {
    user_error(
      "--responses: ",
      length(absent),
      " items of --parameters have no ",
      "column: ",
      format_list(absent)
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
      method = method,
      response.pattern = unname(responses),
      quadpts = points,
      theta_lim = c(-6, 6),
      verbose = FALSE
    ))$value
  }
  lost <- !is.finite(scores[, 1]) | (method == "ML" & abs(scores[, 1]) >= 6)
  scores[lost, ] <- NA
  data.frame(
    subject = rownames(responses),
    theta = as.vector(scores[, 1]),
    se = as.vector(scores[, 2]),
    method = method
  )
}

#' Estimate abilities from sum scores
#'
#' @param model Object from [fixed_mirt()], whose subjects have every sum.
#' @param responses Integer matrix, subjects x items.
#' @param points Number of quadrature points.
#' @return Matrix: ability and standard error, `NA` for incomplete subjects.
#' @noRd
sum_scores <- function(model, responses, points) {
  table <- with_notices(mirt::fscores(
    model,
    method = "EAPsum",
    full.scores.SE = TRUE,
    quadpts = points,
    theta_lim = c(-6, 6),
    verbose = FALSE
  ))$value
  right <- rowSums(responses)
  if (anyNA(right)) {
    message(
      "EAPsum: ",
      sum(is.na(right)),
      " of ",
      length(right),
      " subjects lack ",
      "responses and get no ability; use --method EAP"
    )
  }
  table[right + 1, , drop = FALSE]
}
