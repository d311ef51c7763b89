# Data and options of the stages that calibrate and check.

# ---- Data --------------------------------------------------------------------

#' Leave subjects out whose answers are gone with their items
#'
#' @param responses Integer matrix, subjects x items, after a cut.
#' @param items What the items were that were cut.
#' @return The rows with an answer; a message says how many were left out.
#' @noRd
drop_unanswered <- function(responses, items) {
  silent <- rowSums(!is.na(responses)) == 0
  if (any(silent)) {
    message(
      "left out ",
      sum(silent),
      " subjects that answered ",
      items,
      " items only: ",
      format_list(rownames(responses)[silent])
    )
  }
  responses[!silent, , drop = FALSE]
}

#' Leave constant items out, or refuse them
#'
#' Items that all subjects answered alike have no maximum-likelihood estimate.
#'
#' @param responses Integer matrix, subjects x items.
#' @param constant_items `"drop"` or `"refuse"`.
#' @return List: `responses` without the constant items, and the names of the
#'   `dropped`.
#' @noRd
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
      "--responses: ",
      length(dropped),
      " items have only right, only wrong ",
      "or no answers: ",
      format_list(dropped),
      "; screen them out, or pass ",
      "--constant-items drop"
    )
  }
  kept <- drop_unanswered(responses[, varying, drop = FALSE], "constant")
  list(responses = kept, dropped = dropped)
}

#' Refuse subjects about whom nothing is known
#'
#' @param responses Integer matrix, subjects x items.
#' @return `NULL`; a user error names the subjects without a response.
#' @noRd
check_answered <- function(responses) {
  empty <- rowSums(!is.na(responses)) == 0
  if (any(empty)) {
    user_error(
      "--responses: ",
      sum(empty),
      " subjects answered none of the items: ",
      format_list(rownames(responses)[empty]),
      "; leave them out"
    )
  }
}

# ---- Options -----------------------------------------------------------------

#' Parse technical options of mirt
#'
#' @param pairs Character vector such as `"NCYCLES=2000"`; `NULL` for none.
#' @return Named list of numbers and logicals.
#' @noRd
parse_technical <- function(pairs) {
  parts <- strsplit(as.character(pairs), "=", fixed = TRUE)
  values <- lapply(seq_along(parts), \(index) {
    value <- utils::type.convert(trimws(parts[[index]][2]), as.is = TRUE)
    whole <- length(parts[[index]]) == 2 && nzchar(parts[[index]][1])
    if (!whole || is.na(value) || is.character(value)) {
      user_error(
        "--technical: '",
        pairs[index],
        "' is not NAME=NUMBER or NAME=TRUE; ",
        "the names are in ?mirt::mirt"
      )
    }
    value
  })
  stats::setNames(values, vapply(parts, \(part) trimws(part[1]), character(1)))
}

#' Read the responses that calibrate, or that a fit is checked with
#'
#' @param path `responses` table (file); a training or test table is one.
#' @return Integer matrix, subjects x items.
#' @noRd
read_responses <- function(path) {
  responses_matrix(read_table(path, "responses"))
}

#' Refuse a fit that has not converged
#'
#' @param record Record of the fit.
#' @param source Where the responses come from, for the message.
#' @return `NULL`; a user error with the remedies.
#' @noRd
check_converged <- function(record, source) {
  if (!record$converged) {
    user_error(
      source,
      ": the ",
      record$model,
      " fit has not converged (largest ",
      "gradient ",
      sprintf("%.3g", record$max_gradient),
      " after ",
      record$n_iterations,
      " iterations); raise --max-iterations, choose ",
      "--prior weak or a smaller model, or pass --allow-unconverged"
    )
  }
}

#' Use several threads within mirt
#'
#' @param threads Number of threads.
#' @return `NULL`.
#' @noRd
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
#' @noRd
check_fit_options <- function(opts) {
  # The points of several dimensions multiply, so that fewer have to do.
  least <- c(
    quadrature = if (opts$dimensions > 1) 5 else 11,
    dimensions = 1,
    max_iterations = 1,
    threads = 1
  )
  for (name in names(least)) {
    value <- opts[[name]]
    if (!is.null(value) && value < least[[name]]) {
      user_error(
        "--",
        gsub("_", "-", name),
        " ",
        value,
        ": is below ",
        least[[name]]
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
