# Errors for the user.

#' Stop because of something that the user can fix
#'
#' @param ... Parts of the message, pasted together: the file, column, row or
#'   option concerned, what is wrong with it, and the remedy.
#' @return Nothing; signals a condition of class `user_error`.
#' @export
user_error <- function(...) {
  stop(errorCondition(paste0(...), class = "user_error", call = NULL))
}

#' Join values for a message, naming only the first few
#'
#' @param values Vector.
#' @param limit Number of values named.
#' @return One string.
#' @noRd
format_list <- function(values, limit = 5) {
  text <- paste(utils::head(values, limit), collapse = ", ")
  more <- length(values) - limit
  if (more > 0) paste(text, "and", more, "more") else text
}
