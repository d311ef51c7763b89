# The penalised linear predictor: which points does each right answer add?

#' Fit a ridge regression whose penalty generalised cross-validation chooses
#'
#' Minimises
#' \deqn{\|y - b_0 - X b\|^2 + \lambda \|b\|^2}
#' over a grid of \eqn{\lambda}, with \eqn{X} centred and \eqn{b_0} free. One
#' eigendecomposition of \eqn{X'X} serves the whole grid:
#' \deqn{GCV(\lambda) = n \, RSS(\lambda) / (n - df(\lambda))^2, \qquad
#'   df(\lambda) = 1 + \sum_j w_j / (w_j + \lambda).}
#'
#' @param x Numeric matrix, subjects by items.
#' @param y Numeric vector, in points.
#' @return List of `intercept`, `coefficients` (points a right answer) and
#'   `lambda`.
#' @references Golub G. H., Heath M. & Wahba G. (1979). Generalized
#'   cross-validation as a method for choosing a good ridge parameter.
#'   Technometrics 21, 215-223.
#' @export
fit_ridge <- function(x, y) {
  n <- nrow(x)
  middle <- colMeans(x)
  centred <- sweep(x, 2, middle)
  target <- y - mean(y)
  spectrum <- eigen(crossprod(centred), symmetric = TRUE)
  weight <- pmax(spectrum$values, 0)
  along <- drop(crossprod(spectrum$vectors, crossprod(centred, target)))
  total <- sum(target^2)
  gcv <- function(lambda) {
    slope <- along / (weight + lambda)
    rss <- total - 2 * sum(slope * along) + sum(slope^2 * weight)
    df <- 1 + sum(weight / (weight + lambda))
    if (df >= n) Inf else n * rss / (n - df)^2
  }
  # Responses are 0/1: from an eighth of a subject's weight to all of them.
  grid <- 2^seq(-3, 20, by = 0.5)
  lambda <- grid[which.min(vapply(grid, gcv, 0))]
  slopes <- drop(spectrum$vectors %*% (along / (weight + lambda)))
  list(
    intercept = mean(y) - sum(middle * slopes),
    coefficients = stats::setNames(slopes, colnames(x)),
    lambda = lambda
  )
}

#' Predict by a ridge regression
#'
#' @param fit List from [fit_ridge()].
#' @param x Numeric matrix, subjects by items.
#' @return Numeric vector along the rows of `x`, in points.
#' @noRd
predict_ridge <- function(fit, x) {
  fit$intercept + drop(x %*% fit$coefficients)
}

#' Predict every row by the ridge regression of the other folds
#'
#' Weights are those of the other folds, around the centre of all: the mean
#' score of the others is lower the higher that of the own fold is, and where
#' the ridge shrinks all weights away a smooth of it would learn the fold. The
#' common mean shifts all rows alike, so that a smooth learns nothing from it.
#'
#' @param x,y As for [fit_ridge()].
#' @param fold Fold of each row.
#' @return Numeric vector along the rows of `x`, in points.
#' @noRd
cross_fit_ridge <- function(x, y, fold) {
  predicted <- numeric(nrow(x))
  centred <- sweep(x, 2, colMeans(x))
  for (held_out in unique(fold)) {
    out <- fold == held_out
    fit <- fit_ridge(x[!out, , drop = FALSE], y[!out])
    predicted[out] <- centred[out, , drop = FALSE] %*% fit$coefficients
  }
  mean(y) + predicted
}

#' Fill cells that were not administered with their expectation
#'
#' \deqn{x_{ji} = g_i + (u_i - g_i) / (1 + \exp(-(a_i \theta_j + d_i)))}
#'
#' @param x Matrix of 0, 1 and `NA`, subjects by items.
#' @param parameters `parameters` table along the columns of `x`.
#' @param theta Abilities along the rows of `x`.
#' @return `x` without `NA`.
#' @noRd
fill_expected <- function(x, parameters, theta) {
  gap <- which(is.na(x), arr.ind = TRUE)
  if (nrow(gap) > 0) {
    item <- parameters[gap[, 2], ]
    chance <- stats::plogis(item$a * theta[gap[, 1]] + item$d)
    x[gap] <- item$g + (item$u - item$g) * chance
  }
  x
}

#' Derive from responses what the form read-out uses
#'
#' @param data Data frame of one form, from `readout_data()`.
#' @param responses Numeric matrix of subjects (row names) by the items of
#'   the form, `NA` where not administered.
#' @param parameters `parameters` table along the columns of `responses`.
#' @return List of `data` with `linear` and `sub_score` (points) and `complete`
#'   (0/1), and `fit`, the ridge regression of all subjects, which predicts
#'   anybody else. `linear` is the prediction by the other folds.
#' @export
add_form_features <- function(data, responses, parameters) {
  absent <- setdiff(data$subject, rownames(responses))
  if (length(absent) > 0) {
    user_error(
      "--training: lacks the subjects ",
      format_list(absent),
      ", who have an ability; give the responses that they were scored on"
    )
  }
  x <- responses[match(data$subject, rownames(responses)), , drop = FALSE]
  data$complete <- as.integer(!apply(is.na(x), 1, any))
  x <- fill_expected(x, parameters, data$theta)
  data$sub_score <- 100 * rowMeans(x)
  data$linear <- cross_fit_ridge(x, data$full_score, data$fold)
  list(data = data, fit = fit_ridge(x, data$full_score))
}

#' Bring features into the form of the contract
#'
#' @param data Data frame from [add_form_features()].
#' @param benchmark,form Names of the benchmark and the form.
#' @return `features` table.
#' @noRd
as_features <- function(data, benchmark, form) {
  columns <- c("subject", "set", "fold", "full_score", "theta", "se")
  columns <- c(columns, "linear", "sub_score", "complete")
  data.frame(benchmark = benchmark, form = form, data[columns])
}

#' Bring a linear predictor into the form of the contract
#'
#' @param fit List from [fit_ridge()].
#' @param benchmark,form Names of the benchmark and the form.
#' @return `linear_predictors` table.
#' @noRd
as_linear <- function(fit, benchmark, form) {
  data.frame(
    benchmark = benchmark,
    form = form,
    item = c("(intercept)", names(fit$coefficients)),
    coefficient = c(fit$intercept, unname(fit$coefficients))
  )
}

#' Read how optimistic the residuals of a selection are
#'
#' @param path Record of select_items, or `NULL`.
#' @return Number of at least 1.
#' @noRd
read_optimism <- function(path) {
  if (is.null(path)) {
    return(1)
  }
  record <- tryCatch(jsonlite::read_json(path), error = \(e) {
    user_error(path, ": not a readable JSON record; run select_items again")
  })
  if (is.null(record$optimism)) {
    user_error(path, ": lacks the key 'optimism'; run select_items again")
  }
  record$optimism
}

#' Check that the items of all forms have responses and parameters
#'
#' @param inputs List with `items` (by form), `responses` and `parameters`.
#' @param opts Options, whose files a message names.
#' @return Nothing; a user error names an item.
#' @noRd
check_items <- function(inputs, opts) {
  items <- unlist(inputs$items[names(inputs$abilities)])
  known <- list(
    training = colnames(inputs$training$responses),
    parameters = inputs$parameters$item
  )
  for (table in names(known)) {
    absent <- setdiff(items, known[[table]])
    if (length(absent) > 0) {
      user_error(
        opts[[table]],
        ": lacks the selected items ",
        format_list(absent),
        "; give the table that the items were selected from"
      )
    }
  }
}

#' Apply a function to each form, several at once
#'
#' One process signals its errors where they happen; several stop at the first
#' error of each, and the first of these is signalled, with its calls.
#'
#' @param forms Names of the forms.
#' @param threads Processes.
#' @param work Function of a form's name.
#' @return Named list along `forms`.
#' @export
over_forms <- function(forms, threads, work) {
  if (threads == 1) {
    return(lapply(stats::setNames(nm = forms), work))
  }
  # It warns of errors, which are signalled below.
  made <- suppressWarnings(parallel::mclapply(
    forms,
    \(form) with_calls(work(form), paste0("form '", form, "'")),
    mc.cores = threads
  ))
  for (result in made) {
    if (inherits(result, "try-error")) {
      stop(attr(result, "condition"))
    }
    if (is.null(result)) {
      stop("a worker process died; give the stage more memory, or --threads 1")
    }
  }
  stats::setNames(made, forms)
}
