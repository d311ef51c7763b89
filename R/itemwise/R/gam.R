# Additive models by mgcv: formulas, and bases as large as the data can tell.

#' Parse the formula of a read-out
#'
#' @param text Formula in mgcv's language with response `full_score`.
#' @param known Names of the predictors that it may use, such as those of
#'   [formula_predictors()]; `NULL` for any.
#' @param option Name of the option that gave it.
#' @return Formula; a user error says what is wrong with the text.
#' @noRd
parse_formula <- function(
  text,
  known = NULL,
  option = "--formula"
) {
  parsed <- tryCatch(str2lang(text), error = \(e) NULL)
  if (!is_of_full_score(parsed)) {
    user_error(
      option,
      " '",
      text,
      "' is not a formula full_score ~ ...; write for ",
      "example full_score ~ s(theta, k = 20)"
    )
  }
  unknown <- setdiff(all.vars(parsed[[3]]), known)
  if (!is.null(known) && length(unknown) > 0) {
    user_error(
      option,
      " '",
      text,
      "': unknown variable ",
      format_list(unknown),
      "; use ",
      paste(known, collapse = ", ")
    )
  }
  formula <- stats::as.formula(parsed, globalenv())
  shape <- stats::terms(mgcv::interpret.gam(formula)$pf)
  if (attr(shape, "intercept") == 0 || !is.null(attr(shape, "offset"))) {
    user_error(
      option,
      " '",
      text,
      "': takes neither '- 1' nor offset(); leave them out"
    )
  }
  formula
}

#' Say whether an expression is a formula of the full score
#'
#' @param parsed Expression.
#' @return Whether it reads `full_score ~ ...`.
#' @noRd
is_of_full_score <- function(parsed) {
  is.call(parsed) &&
    identical(parsed[[1]], quote(`~`)) &&
    length(parsed) == 3 &&
    identical(parsed[[2]], quote(full_score))
}

#' Fit a generalised additive model
#'
#' Values of a predictor that are as good as equal count as one ([join_ties()]),
#' and bases are as large as the data can tell ([fit_bases()]).
#'
#' @param formula Formula from [parse_formula()].
#' @param data Data frame of training subjects.
#' @return Gaussian `gam`, with `lowered` from [fit_bases()]; a user error when
#'   the data cannot carry the formula.
#' @noRd
fit_gam <- function(formula, data) {
  for (name in predictors(formula)) {
    data[[name]] <- join_ties(data[[name]])
  }
  tryCatch(
    {
      fitted <- fit_bases(formula, data)
      model <- fit_smooths(fitted$formula, data)
      model$lowered <- fitted$lowered
      model
    },
    error = \(e) {
      user_error(
        "the formula '",
        deparse1(formula),
        "' cannot be fitted to ",
        nrow(data),
        " training subjects (",
        conditionMessage(e),
        "); ",
        formula_advice(conditionMessage(e)),
        " by config key 'readout.formula', 'readout.form_formula' or ",
        "'joint.formula'"
      )
    }
  )
}

#' Say how a formula that mgcv refuses can be mended
#'
#' @param message mgcv's message.
#' @return String.
#' @noRd
formula_advice <- function(message) {
  # The constructor of a basis is a method for that class.
  pattern <- '"([^"]+)\\.smooth\\.spec"'
  basis <- regmatches(message, regexec(pattern, message))[[1]][2]
  if (is.na(basis)) {
    return("choose a smaller k or a simpler smooth")
  }
  paste0(
    "mgcv has no basis '",
    basis,
    "': choose one that ?mgcv::smooth.terms lists, such as bs = 'cr',"
  )
}

#' Name the predictors of a formula
#'
#' @param formula Formula.
#' @return Character vector.
#' @noRd
predictors <- function(formula) {
  all.vars(formula[[3]])
}

#' Join values that are as good as equal
#'
#' Abilities by items of several calibrations differ where answers do not: by
#' sums of the answers, split by fold, 1e-7 to 1e-1 apart. A spline that puts
#' knots between them learns the fold. Values are rounded to a grid of equal
#' steps of at most a twentieth of their standard deviation, whose ends are
#' theirs.
#'
#' @param x Numeric vector.
#' @return Numeric vector along `x`.
#' @noRd
join_ties <- function(x) {
  low <- min(x)
  width <- max(x) - low
  # A predictor that does not vary differs by rounding errors alone.
  if (width <= 1e-6) {
    return(rep(low, length(x)))
  }
  steps <- ceiling(width / (stats::sd(x) / 20))
  low + width * (round(steps * (x - low) / width) / steps)
}

#' Fit the smooths of a formula to the information in the data
#'
#' Of a smooth with basis dimension k, a formula asks for more than few models
#' can tell. It is lowered to half the number of distinct values, and so far
#' that all smooths together have half as many coefficients as there are rows,
#' but not below four. A predictor of fewer than four values enters linearly.
#'
#' @param formula Formula from [parse_formula()].
#' @param data Data frame, from [join_ties()].
#' @return List of `formula` and `lowered` (a sentence for every smooth that
#'   changed).
#' @noRd
fit_bases <- function(formula, data) {
  smooths <- smooth_calls(formula[[3]])
  room <- nrow(data) %/% (2 * max(1, length(smooths)))
  lowered <- character()
  right <- formula[[3]]
  for (call in smooths) {
    fitted <- lower_basis(call, data, room)
    if (!identical(fitted, call)) {
      lowered <- c(lowered, lowered_to(call, fitted, data))
      right <- replace_call(right, call, fitted)
    }
  }
  formula[[3]] <- right
  list(formula = formula, lowered = lowered)
}

#' Find the smooths in an expression
#'
#' @param side Expression.
#' @return List of calls of mgcv's `s()`, `te()`, `ti()` and `t2()`.
#' @noRd
smooth_calls <- function(side) {
  if (!is.call(side)) {
    return(list())
  }
  if (as.character(side[[1]])[1] %in% c("s", "te", "ti", "t2")) {
    return(list(side))
  }
  unlist(lapply(as.list(side)[-1], smooth_calls), recursive = FALSE)
}

#' Put another expression in the place of a call
#'
#' @param side,call,other Expressions.
#' @return `side`.
#' @noRd
replace_call <- function(side, call, other) {
  if (identical(side, call)) {
    return(other)
  }
  if (is.call(side)) {
    side[-1] <- lapply(as.list(side)[-1], replace_call, call, other)
  }
  side
}

#' Lower the basis dimension of one smooth
#'
#' @param call Call of a smooth.
#' @param data Data frame.
#' @param room Largest number of coefficients.
#' @return `call`, with another `k` where its own is too large; the predictor
#'   where no smooth can be told.
#' @noRd
lower_basis <- function(call, data, room) {
  spec <- eval(call, asNamespace("mgcv"))
  values <- vapply(spec$term, \(name) length(unique(data[[name]])), 0L)
  if (is.null(spec$margin) && spec$dim == 1) {
    if (values < 4) {
      return(as.name(spec$term))
    }
    asked <- if (spec$bs.dim > 0) spec$bs.dim else 10
    return(with_k(call, asked, min(values %/% 2, room)))
  }
  if (is.null(spec$margin)) {
    return(call)
  }
  asked <- vapply(spec$margin, `[[`, 0, "bs.dim")
  most <- pmin(values %/% 2, floor(sqrt(room)))
  if (length(asked) == length(most)) with_k(call, asked, most) else call
}

#' Set the basis dimension of a smooth that asks for too much
#'
#' @param call Call of a smooth.
#' @param asked,most Dimensions asked for and possible, one a margin.
#' @param least Smallest dimension of every basis that mgcv has.
#' @return `call`.
#' @noRd
with_k <- function(call, asked, most, least = 4) {
  k <- pmin(asked, pmax(most, least))
  if (all(k == asked)) {
    return(call)
  }
  call$k <- if (length(k) == 1) k else as.call(c(quote(c), as.list(k)))
  call
}

#' Say how a smooth was changed
#'
#' @param call,fitted Before and after.
#' @param data Data frame.
#' @return String.
#' @noRd
lowered_to <- function(call, fitted, data) {
  values <- vapply(all.vars(call), \(name) length(unique(data[[name]])), 0L)
  paste0(
    deparse1(call),
    " -> ",
    deparse1(fitted),
    " (",
    nrow(data),
    " models, distinct values: ",
    paste(values, collapse = ", "),
    ")"
  )
}

#' Fit an additive model whose smoothness the restricted likelihood chooses
#'
#' Generalised cross-validation takes dozens of degrees of freedom where few
#' models allow four. It chooses where the likelihood has no maximum that mgcv
#' finds, such as where nothing is left over. `bam()` reduces thousands of
#' models to one triangular matrix before it searches; the model is that of
#' `gam()`.
#'
#' @param formula Formula.
#' @param data Data frame.
#' @return Gaussian `gam`.
#' @references Wood S. N. (2011). Fast stable restricted maximum likelihood and
#'   marginal likelihood estimation of semiparametric generalized linear models.
#'   JRSS B 73, 3-36.
#'
#'   Wood S. N., Goude Y. & Shaw S. (2015). Generalized additive models for
#'   large data sets. JRSS C 64, 139-155.
#' @noRd
fit_smooths <- function(formula, data) {
  otherwise <- \(condition) mgcv::gam(formula, data = data)
  tryCatch(
    mgcv::bam(formula, data = data, method = "fREML"),
    error = otherwise,
    warning = otherwise
  )
}
