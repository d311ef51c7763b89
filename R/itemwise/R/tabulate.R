# A fitted model as tables, so that it can be evaluated without R.

other_kind <- paste(
  "neither linear, nor a smooth of one predictor, nor a smooth surface of two"
)

#' Say that a term does not fit on the finest grid
#'
#' @param n Nodes of the grid, as text.
#' @param off Largest distance from the model, in points.
#' @return String.
#' @noRd
too_curved <- function(n, off) {
  sprintf(
    "too curved for a grid of %s nodes (off by %.2g points); take a smaller k",
    n,
    off
  )
}

#' Tabulate a generalised additive model
#'
#' Linear terms by their coefficient, univariate smooths on a grid over the
#' training range with linear interpolation, bivariate smooths on a rectangular
#' grid with cubic interpolation. Grids are doubled until no training row is
#' off by more than `tolerance` points, five times that for surfaces, whose
#' tables grow fourfold; a term that is still off by more than 0.001 points on
#' the finest grid is not tabulated.
#'
#' @param model `gam` with Gaussian family and identity link.
#' @param train Data frame that it was fitted to.
#' @param tolerance Points.
#' @return List of `rows` (columns kind, term, variable, variable2, node, x,
#'   x2, value) and `unsupported` (named character vector: the reason why a
#'   term is not among the rows, by its name).
#' @noRd
tabulate_terms <- function(model, train, tolerance = 1e-4) {
  rows <- list(term_rows(
    "intercept",
    "intercept",
    value = unname(stats::coef(model)[1])
  ))
  linear <- attr(model$pterms, "term.labels")
  plain <- linear %in% names(train)
  for (name in linear[plain]) {
    value <- unname(stats::coef(model)[name])
    rows <- c(rows, list(term_rows("linear", name, name, value = value)))
  }
  unsupported <- stats::setNames(rep(other_kind, sum(!plain)), linear[!plain])
  for (smooth in model$smooth) {
    table <- tabulate_smooth(model, smooth, train, tolerance)
    if (is.data.frame(table)) {
      rows <- c(rows, list(table))
    } else {
      unsupported[smooth$label] <- table
    }
  }
  for (name in all.vars(stats::formula(model))[-1]) {
    ends <- range(train[[name]])
    rows <- c(
      rows,
      list(term_rows("range", name, name, x = ends[1], x2 = ends[2], value = 0))
    )
  }
  list(rows = do.call(rbind, rows), unsupported = unsupported)
}

#' Write rows of the table `terms`, without its keys
#'
#' @param kind,term,variable,variable2,x,x2,value Columns; see the contract.
#' @return Data frame.
#' @noRd
term_rows <- function(
  kind,
  term,
  variable = "",
  variable2 = "",
  x = NA_real_,
  x2 = NA_real_,
  value
) {
  data.frame(
    kind = kind,
    term = term,
    variable = variable,
    variable2 = variable2,
    node = seq_along(value),
    x = x,
    x2 = x2,
    value = value
  )
}

#' Tabulate one smooth
#'
#' @param model,train,tolerance As for [tabulate_terms()].
#' @param smooth Entry of `model$smooth`.
#' @return Data frame, or the reason why there is none.
#' @noRd
tabulate_smooth <- function(model, smooth, train, tolerance) {
  if (smooth$by != "NA" || !all(smooth$term %in% names(train))) {
    return(other_kind)
  }
  if (!is.null(smooth$fac) || !smooth$dim %in% 1:2) {
    return(other_kind)
  }
  exact <- smooth_values(model, smooth, train)
  if (smooth$dim == 1) {
    tabulate_curve(model, smooth, train, exact, tolerance)
  } else {
    tabulate_surface(model, smooth, train, exact, tolerance)
  }
}

#' Evaluate one smooth
#'
#' @param model,smooth As for [tabulate_smooth()].
#' @param at Data frame with the smooth's variables.
#' @return Numeric vector along the rows of `at`, in points.
#' @noRd
smooth_values <- function(model, smooth, at) {
  columns <- smooth$first.para:smooth$last.para
  basis <- mgcv::PredictMat(smooth, at)
  drop(basis %*% stats::coef(model)[columns])
}

#' Tabulate a smooth of one variable on a grid
#'
#' The grid is doubled until linear interpolation errs by at most `tolerance`,
#' or has 16,385 nodes.
#'
#' @param model,smooth As for [tabulate_smooth()].
#' @param train Training data, whose values the grid spans.
#' @param exact Values of the smooth along the rows of `train`, in points.
#' @param tolerance Largest error wanted, in points.
#' @return Rows of a `terms` table; a string with the reason where a thousandth
#'   of a point is not reached.
#' @noRd
tabulate_curve <- function(model, smooth, train, exact, tolerance) {
  name <- smooth$term
  for (n in 2^(7:14) + 1) {
    grid <- seq(min(train[[name]]), max(train[[name]]), length.out = n)
    value <- smooth_values(
      model,
      smooth,
      stats::setNames(data.frame(grid), name)
    )
    off <- abs(stats::approx(grid, value, train[[name]])$y - exact)
    if (max(off) <= tolerance) {
      break
    }
  }
  if (max(off) > 1e-3) {
    return(too_curved(n, max(off)))
  }
  term_rows("smooth", smooth$label, name, x = grid, value = value)
}

#' Tabulate a smooth of two variables on a grid
#'
#' The grid is doubled until cubic interpolation errs by at most five times
#' `tolerance`, or has 513 nodes on each axis.
#'
#' @inheritParams tabulate_curve
#' @return Rows of a `terms` table, read by [bicubic()] interpolation; a string
#'   with the reason where a thousandth of a point is not reached.
#' @noRd
tabulate_surface <- function(model, smooth, train, exact, tolerance) {
  axes <- train[smooth$term]
  for (n in 2^(5:9) + 1) {
    grids <- lapply(axes, \(x) seq(min(x), max(x), length.out = n))
    at <- expand.grid(rev(grids))[smooth$term]
    value <- smooth_values(model, smooth, at)
    off <- abs(bicubic(grids, value, axes) - exact)
    if (max(off) <= 5 * tolerance) {
      break
    }
  }
  if (max(off) > 1e-3) {
    return(too_curved(paste(n, "x", n), max(off)))
  }
  term_rows(
    "surface",
    smooth$label,
    smooth$term[1],
    smooth$term[2],
    x = at[[1]],
    x2 = at[[2]],
    value = value
  )
}

#' Interpolate a surface on a rectangular grid
#'
#' By the product of the cubics through the four nodes nearest on each axis,
#' exact for polynomials of third degree.
#'
#' @param grids List of the two ascending axes.
#' @param value Values, the second axis running fastest.
#' @param at List of two numeric vectors within the grid.
#' @return Numeric vector along the vectors of `at`.
#' @noRd
bicubic <- function(grids, value, at) {
  one <- node_weights(grids[[1]], at[[1]])
  two <- node_weights(grids[[2]], at[[2]])
  width <- length(grids[[2]])
  total <- 0
  for (i in seq_len(ncol(one$weight))) {
    for (j in seq_len(ncol(two$weight))) {
      node <- (one$first + i - 2) * width + two$first + j - 1
      total <- total + one$weight[, i] * two$weight[, j] * value[node]
    }
  }
  total
}

#' Weigh the nodes around a place, as Lagrange's polynomial through them does
#'
#' @param grid Ascending nodes.
#' @param x Numeric vector within the grid.
#' @return List of `first` (the first of the up to four nodes) and `weight`
#'   (matrix along `x`, one column a node).
#' @noRd
node_weights <- function(grid, x) {
  size <- min(4, length(grid))
  low <- findInterval(x, grid, rightmost.closed = TRUE)
  first <- pmin(pmax(low - (size %/% 2 - 1), 1), length(grid) - size + 1)
  weight <- matrix(1, length(x), size)
  for (i in seq_len(size)) {
    for (j in setdiff(seq_len(size), i)) {
      from <- grid[first + j - 1]
      weight[, i] <- weight[, i] * (x - from) / (grid[first + i - 1] - from)
    }
  }
  list(first = first, weight = weight)
}

#' Tabulate the interval of a read-out
#'
#' @param scale Function from [error_scale()].
#' @param predicted Out-of-fold predictions of the training subjects, points.
#' @param quantile Number from [conformal_quantile()].
#' @param level Nominal coverage, 0 to 1.
#' @return Data frame like `rows` of [tabulate_terms()].
#' @noRd
tabulate_interval <- function(scale, predicted, quantile, level) {
  grid <- seq(min(predicted), max(predicted), length.out = 2049)
  rbind(
    term_rows("scale", "scale", "predicted", x = grid, value = scale(grid)),
    term_rows("quantile", "quantile", x = level, value = min(quantile, 1e12))
  )
}

#' Tabulate a read-out, so that it can be evaluated without R
#'
#' @param fit List from [fit_readout()].
#' @param benchmark,form,readout Keys of the rows.
#' @return `terms` table; its attribute `unsupported` says of the terms that
#'   are not in it why, and a warning does for an interactive session.
#' @export
as_terms <- function(fit, benchmark, form, readout) {
  train <- fit$predictions
  tabulated <- tabulate_terms(fit$model, train)
  for (term in names(tabulated$unsupported)) {
    warning(
      "form '",
      form,
      "', read-out '",
      readout,
      "': neither assess_readout nor a bank can hold ",
      term,
      ", ",
      tabulated$unsupported[[term]],
      call. = FALSE
    )
  }
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
