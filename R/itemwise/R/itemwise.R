#' The statistics of itemwise
#'
#' Stages (`R/*.R` of the clone) read these functions from their sources, so
#' that an edit holds at once; as a package they are documented and checked.
#'
#' @keywords internal
"_PACKAGE"
