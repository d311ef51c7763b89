# The options of a stage: described, parsed, converted.

#' Describe one command-line option
#'
#' @param name Long name without dashes; hyphens become underscores in the
#'   parsed options.
#' @param type `"string"`, `"integer"`, `"number"`; `"list"` for values
#'   separated by commas; `"flag"` for `--name`, and `--no-name` where its
#'   default is `TRUE`; `"file"` and `"files"` (separated by commas) for what
#'   the stage reads, `"output"` for a file that it writes.
#' @param help What the option sets, with its unit.
#' @param default Value when the option is absent.
#' @param required Whether the stage cannot run without it.
#' @param choices Admissible values; `NULL` for any.
#' @param bounds List of `minimum`, `maximum`, `exclusiveMinimum` and
#'   `exclusiveMaximum`, as JSON schema has them; those that are absent do not
#'   bind.
#' @return A list that [stage_options()] understands.
#' @export
stage_option <- function(
  name,
  type,
  help,
  default = if (type == "flag") FALSE,
  required = FALSE,
  choices = NULL,
  bounds = list()
) {
  list(
    name = name,
    type = type,
    help = help,
    default = default,
    required = required,
    choices = choices,
    bounds = bounds
  )
}

#' Describe options that name tables
#'
#' @param ... Tables of the contract. Where an option is not named as its
#'   table, its name: `out = "parameters"`.
#' @param type,required As for [stage_option()].
#' @return List of [stage_option()]s; `full_scores` is `--full-scores`.
#' @examples
#' \dontrun{
#' table_options("responses", "splits")
#' table_options(features = "features", type = "files")
#' }
#' @export
table_options <- function(..., type = "file", required = TRUE) {
  tables <- c(...)
  names <- if (is.null(names(tables))) tables else names(tables)
  Map(
    \(name, table) {
      table_rules(table) # a table that the contract lacks is an error
      what <- if (type == "files") "tables, separated by commas" else "table"
      stage_option(
        gsub("_", "-", name),
        type,
        paste(table, what),
        required = required
      )
    },
    ifelse(nzchar(names), names, tables),
    tables,
    USE.NAMES = FALSE
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
#' @param examples Last paragraph of `--help`.
#' @return Named list of values, one an option; hyphens in names are
#'   underscores, and absent options without default are `NULL`.
#' @export
stage_options <- function(spec, args, description = "", examples = "") {
  parser <- optparse::OptionParser(
    description = description,
    epilogue = examples,
    option_list = unlist(lapply(spec, parser_options))
  )
  given <- tryCatch(
    optparse::parse_args(parser, args),
    error = \(e) {
      if (grepl("SIGPIPE", conditionMessage(e), fixed = TRUE)) {
        quit(save = "no") # the reader has enough: `--help | head`
      }
      user_error(parser_message(e), "; see --help")
    }
  )
  check_required(spec, given)
  values <- lapply(spec, \(option) {
    value <- given[[option$name]]
    if (is.null(value)) {
      option$default
    } else if (option$type == "flag") {
      value
    } else {
      convert_option(value, option)
    }
  })
  stats::setNames(values, vapply(spec, option_key, ""))
}

#' Name an option among the parsed ones
#'
#' @param option A [stage_option()].
#' @return Its name with underscores.
#' @noRd
option_key <- function(option) {
  gsub("-", "_", option$name)
}

#' Translate an option for optparse
#'
#' @param option A [stage_option()].
#' @return List of optparse options without default: the default is shown in
#'   the help text and filled in by [stage_options()]. A flag has a second one
#'   where it is on by default.
#' @noRd
parser_options <- function(option) {
  flag <- \(action, prefix, help) {
    optparse::make_option(
      paste0("--", prefix, option$name),
      action = action,
      dest = option$name,
      help = wrap_help(help)
    )
  }
  if (option$type == "flag") {
    off <- flag("store_false", "no-", paste("not:", option$help))
    on <- flag("store_true", "", option$help)
    return(if (isTRUE(option$default)) list(off, on) else list(on))
  }
  notes <- c(
    if (option$required) "required",
    if (!is.null(option$choices)) paste(option$choices, collapse = "|"),
    if (!is.null(option$default)) {
      paste("default:", paste(option$default, collapse = ","))
    }
  )
  note <- if (length(notes) > 0) sprintf(" [%s]", paste(notes, collapse = "; "))
  list(optparse::make_option(
    paste0("--", option$name),
    type = "character",
    metavar = sub("OUTPUT", "FILE", toupper(option$type)),
    help = wrap_help(paste0(option$help, note))
  ))
}

#' Break a help text into the lines that optparse prints
#'
#' @param text String.
#' @return String, lines indented as optparse indents the first.
#' @noRd
wrap_help <- function(text) {
  paste(strwrap(text, 72), collapse = "\n\t\t")
}

#' Extract the message of an optparse error
#'
#' @param error Condition whose message begins with the call that failed.
#' @return The message alone.
#' @noRd
parser_message <- function(error) {
  trimws(sub("^Error in .*? : ", "", conditionMessage(error), perl = TRUE))
}

#' Check that the required options are given
#'
#' @param spec List of [stage_option()]s.
#' @param given Options that were on the command line.
#' @return `NULL`; a user error names every absent option.
#' @noRd
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
#' @noRd
convert_option <- function(text, option) {
  fail <- \(expected) {
    user_error("--", option$name, ": '", text, "' is not ", expected)
  }
  if (!is.null(option$choices) && !text %in% option$choices) {
    fail(paste("one of", paste(option$choices, collapse = ", ")))
  }
  if (option$type %in% c("string", "file", "output")) {
    return(text)
  }
  if (option$type %in% c("list", "files")) {
    parts <- trimws(strsplit(text, ",", fixed = TRUE)[[1]])
    parts <- parts[nzchar(parts)]
    return(if (length(parts) > 0) parts else fail("a comma-separated list"))
  }
  number <- suppressWarnings(as.numeric(text))
  if (option$type == "integer" && !is_whole(number)) {
    fail("a whole number")
  }
  if (!is.finite(number)) {
    fail("a number")
  }
  check_bounds(number, option)
  if (option$type == "integer") as.integer(number) else number
}

#' Tell whether a number is whole and within the range of integers
#'
#' The modulus of a number beyond that range would pass as whole.
#'
#' @param number Number, or `NA`.
#' @return `TRUE` or `FALSE`.
#' @noRd
is_whole <- function(number) {
  isTRUE(number %% 1 == 0 && abs(number) <= .Machine$integer.max)
}

#' Check that a number is within the bounds of its option
#'
#' @param number Number.
#' @param option Its [stage_option()].
#' @return `NULL`; a user error names the bound that it breaks.
#' @noRd
check_bounds <- function(number, option) {
  keeps <- list(
    minimum = list(`>=`, "at least"),
    maximum = list(`<=`, "at most"),
    exclusiveMinimum = list(`>`, "above"),
    exclusiveMaximum = list(`<`, "below")
  )
  for (name in intersect(names(keeps), names(option$bounds))) {
    bound <- option$bounds[[name]]
    if (!keeps[[name]][[1]](number, bound)) {
      must <- paste("must be", keeps[[name]][[2]], bound)
      user_error("--", option$name, " ", number, ": ", must)
    }
  }
}
