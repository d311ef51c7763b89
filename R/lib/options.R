# Command-line options of a stage, its errors and its exit status.

#' Stop because of something that the user can mend
#'
#' @param ... Parts of the message, pasted together: the file, column, row or
#'   option concerned, what is wrong with it, and the remedy.
#' @return Nothing; signals a condition of class `user_error`.
user_error <- function(...) {
  stop(errorCondition(paste0(...), class = "user_error", call = NULL))
}

#' Join values for a message, naming only the first few
#'
#' @param values Vector.
#' @param limit Number of values named.
#' @return One string.
listed <- function(values, limit = 5) {
  text <- paste(utils::head(values, limit), collapse = ", ")
  more <- length(values) - limit
  if (more > 0) paste(text, "and", more, "more") else text
}

#' Describe one command-line option
#'
#' @param name Long name without dashes; hyphens become underscores in the
#'   parsed options.
#' @param type `"string"`, `"integer"`, `"number"`, or `"list"` for values
#'   separated by commas.
#' @param help What the option sets, with its unit.
#' @param default Value when the option is absent.
#' @param required Whether the stage cannot run without it.
#' @param choices Admissible values; `NULL` for any.
#' @return A list that [stage_options()] understands.
stage_option <- function(
  name,
  type,
  help,
  default = NULL,
  required = FALSE,
  choices = NULL
) {
  list(
    name = name,
    type = type,
    help = help,
    default = default,
    required = required,
    choices = choices
  )
}

#' Parse the options of a stage
#'
#' optparse splits the command line and prints `--help`. It has neither
#' required options nor lists, and only warns about a malformed number, so
#' values arrive as text and are converted here.
#'
#' @param spec List of [stage_option()]s.
#' @param args Character vector of command-line arguments.
#' @param description First paragraph of `--help`.
#' @return Named list of values, one an option; hyphens in names are
#'   underscores, and absent options without default are `NULL`.
stage_options <- function(spec, args, description = "") {
  parser <- optparse::OptionParser(
    description = description,
    option_list = lapply(spec, parser_option)
  )
  given <- tryCatch(
    optparse::parse_args(parser, args),
    error = \(e) user_error(parser_message(e), "; see --help")
  )
  check_required(spec, given)
  values <- lapply(spec, \(option) {
    text <- given[[option$name]]
    if (is.null(text)) option$default else convert_option(text, option)
  })
  names(values) <- vapply(spec, \(o) gsub("-", "_", o$name), character(1))
  values
}

#' Translate an option for optparse
#'
#' @param option A [stage_option()].
#' @return An optparse option without default: the default is shown in the help
#'   text and filled in by [stage_options()].
parser_option <- function(option) {
  note <- if (option$required) {
    " [required]"
  } else if (!is.null(option$default)) {
    paste0(" [default: ", option$default, "]")
  }
  optparse::make_option(
    paste0("--", option$name),
    type = "character",
    metavar = toupper(option$type),
    help = paste0(option$help, note)
  )
}

#' Extract the message of an optparse error
#'
#' @param error Condition whose message begins with the call that failed.
#' @return The message alone.
parser_message <- function(error) {
  trimws(sub("^Error in .*? : ", "", conditionMessage(error), perl = TRUE))
}

#' Check that the required options are given
#'
#' @param spec List of [stage_option()]s.
#' @param given Options that were on the command line.
#' @return `NULL`; a user error names every absent option.
check_required <- function(spec, given) {
  required <- Filter(\(option) option$required, spec)
  names <- vapply(required, \(option) option$name, character(1))
  absent <- setdiff(names, names(given))
  if (length(absent) > 0) {
    user_error(
      "required option missing: ",
      paste0("--", absent, collapse = ", "),
      "; see --help"
    )
  }
}

#' Convert the text of an option to its type
#'
#' @param text Value on the command line.
#' @param option Its [stage_option()].
#' @return A string, integer, number, or character vector.
convert_option <- function(text, option) {
  fail <- \(expected) {
    user_error("--", option$name, ": '", text, "' is not ", expected)
  }
  if (!is.null(option$choices) && !text %in% option$choices) {
    fail(paste("one of", paste(option$choices, collapse = ", ")))
  }
  if (option$type == "string") {
    return(text)
  }
  if (option$type == "list") {
    parts <- trimws(strsplit(text, ",", fixed = TRUE)[[1]])
    parts <- parts[nzchar(parts)]
    return(if (length(parts) > 0) parts else fail("a comma-separated list"))
  }
  number <- suppressWarnings(as.numeric(text))
  if (!is.finite(number)) {
    fail("a number")
  }
  if (option$type == "number") {
    return(number)
  }
  # The modulus of a number beyond the integer range would pass as whole.
  whole <- number %% 1 == 0 && abs(number) <= .Machine$integer.max
  if (whole) as.integer(number) else fail("a whole number")
}

#' Run a stage and turn its errors into messages and exit statuses
#'
#' @param name Name of the stage, the prefix of its messages.
#' @param main Function without arguments that does the work.
#' @return `NULL`, invisibly. After a `user_error` R quits with status 2 and
#'   the message alone; after any other error with status 1, the message and
#'   the calls that led to it.
run_stage <- function(name, main) {
  calls <- NULL
  fail <- \(status, ...) {
    message(name, ": error: ", ...)
    quit(save = "no", status = status)
  }
  tryCatch(
    # The calls are gone once tryCatch() has unwound, so they are kept before.
    withCallingHandlers(main(), error = \(e) calls <<- sys.calls()),
    user_error = \(e) fail(2, conditionMessage(e)),
    error = \(e) {
      trace <- vapply(calls, \(call) deparse(call, nlines = 1)[1], character(1))
      fail(1, conditionMessage(e), "\n", paste0("  ", trace, collapse = "\n"))
    }
  )
  invisible(NULL)
}
