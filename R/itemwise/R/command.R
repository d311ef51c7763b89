# The command of a stage: as the log has it, and read back.

#' Write the command of a stage into its log
#'
#' For people, and for [interactive_options()]. It comes before all else, so
#' that it is in the log whatever fails later.
#'
#' @return `NULL`, invisibly. A session, or R code without a script, has none.
#' @noRd
log_command <- function() {
  use_utf8()
  script <- stage_script()
  if (!is.na(script) && !isatty(stdout())) {
    words <- c("Rscript", "--vanilla", script, commandArgs(TRUE))
    cat(paste(quote_words(words), collapse = " "), "\n", sep = "")
  }
  invisible(NULL)
}

#' Work in UTF-8 whatever the locale
#'
#' In the C locale R writes `<U+7EC4>` for a character outside ASCII. Names are
#' sorted by their bytes, so that results do not depend on where they are made.
#'
#' @return `NULL`, invisibly; a user error where the system has no UTF-8 locale.
#' @noRd
use_utf8 <- function() {
  Sys.setlocale("LC_COLLATE", "C")
  for (locale in c("", "C.UTF-8", "C.utf8", "en_US.UTF-8")) {
    if (l10n_info()[["UTF-8"]]) {
      break
    }
    suppressWarnings(Sys.setlocale("LC_CTYPE", locale))
  }
  if (!l10n_info()[["UTF-8"]]) {
    user_error(
      "the system has no UTF-8 locale, so R cannot keep names outside ASCII; ",
      "install one, such as C.UTF-8, and set LC_ALL to it"
    )
  }
  invisible(NULL)
}

#' Find the full path of a file
#'
#' @param path Path.
#' @return Absolute path, marked as UTF-8: an interactive R that was started in
#'   the C locale does not know what its own paths are written in.
#' @noRd
full_path <- function(path) {
  path <- normalizePath(path, mustWork = FALSE)
  Encoding(path) <- "UTF-8"
  path
}

#' Name the script that the process runs
#'
#' @return Path as on the command line; `NA` where none is run.
#' @noRd
stage_script <- function() {
  given <- grep("^--file=[^-]", commandArgs(), value = TRUE)[1]
  path <- sub("^--file=", "", given)
  gsub("~+~", " ", path, fixed = TRUE) # as Rscript writes a blank
}

#' Write words as a shell reads them
#'
#' @param words Character vector.
#' @return Character vector; words with other than plain characters in single
#'   quotes, line breaks become spaces.
#' @noRd
quote_words <- function(words) {
  words <- gsub("\n", " ", words, fixed = TRUE)
  plain <- grepl("^[A-Za-z0-9_./:=,+@%-]+$", words)
  # shQuote() writes double quotes around words with single ones.
  quoted <- gsub("'", "'\\''", words, fixed = TRUE)
  ifelse(plain, words, paste0("'", quoted, "'"))
}

#' Split a command into words; the inverse of [quote_words()]
#'
#' @param line String.
#' @return Character vector.
#' @noRd
split_words <- function(line) {
  words <- regmatches(line, gregexpr("('[^']*'|\\\\'|[^' \\\\])+", line))[[1]]
  # '\'' stands for a single quote within single quotes.
  parts <- strsplit(words, "\\'", fixed = TRUE)
  vapply(
    parts,
    \(part) paste(gsub("'", "", part, fixed = TRUE), collapse = "'"),
    ""
  )
}
