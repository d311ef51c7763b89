# How a stage begins: its options, what becomes of its errors, and where its
# options come from in an interactive session.

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
#' @param type `"string"`, `"integer"`, `"number"`, `"list"` for values
#'   separated by commas, or `"flag"` for an option without a value, which is
#'   `TRUE` when given and else `FALSE`.
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
#' @param examples Last paragraph of `--help`.
#' @return Named list of values, one an option; hyphens in names are
#'   underscores, and absent options without default are `NULL`.
stage_options <- function(spec, args, description = "", examples = "") {
  parser <- optparse::OptionParser(
    description = description,
    epilogue = examples,
    option_list = lapply(spec, parser_option)
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
    text <- given[[option$name]]
    if (option$type == "flag") {
      return(isTRUE(text))
    }
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
  if (option$type == "flag") {
    return(optparse::make_option(
      paste0("--", option$name),
      action = "store_true",
      help = option$help
    ))
  }
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

# ---- Beginning ---------------------------------------------------------------

#' Write the command into the log, for people and for [interactive_options()]
#'
#' A stage does so as soon as this file is read, so that the command is in the
#' log whatever fails later, a library that R cannot parse included.
#'
#' @return `NULL`, invisibly.
log_command <- function() {
  use_utf8()
  if (!isatty(stdout())) {
    words <- c("Rscript", "--vanilla", stage_script(), commandArgs(TRUE))
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
full_path <- function(path) {
  path <- normalizePath(path, mustWork = FALSE)
  Encoding(path) <- "UTF-8"
  path
}

#' Name the script that the process runs
#'
#' @return Path as on the command line.
stage_script <- function() {
  path <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1])
  gsub("~+~", " ", path, fixed = TRUE) # as Rscript writes a blank
}

#' Begin a stage
#'
#' As a process (`Rscript R/<name>.R ...`): parses the command line, and from
#' here on turns errors into messages and exit statuses. In an interactive
#' session: takes the options with which a run called the stage
#' ([interactive_options()]), so that the lines that follow can be run one by
#' one.
#'
#' @param name Name of the stage, the prefix of its messages.
#' @param spec List of [stage_option()]s.
#' @param description First paragraph of `--help`.
#' @return Named list of option values, as of [stage_options()].
start_stage <- function(name, spec, description) {
  if (interactive()) {
    return(interactive_options(name, spec))
  }
  report_errors(name)
  example <- paste0("Example:\n", run_line(stage_script()))
  stage_options(spec, commandArgs(TRUE), description, example)
}

#' Read the example in a script's header
#'
#' @param script R file of a stage, whose header has a paragraph `# Run.`.
#' @return The command, a string of several lines.
run_line <- function(script) {
  header <- readLines(script, encoding = "UTF-8")
  header <- header[seq_len(which(!startsWith(header, "#"))[1] - 1)]
  lines <- header[seq(grep("^# Run\\.", header)[1], length(header))]
  paste(sub("^# (Run\\.)? *", "  ", lines), collapse = "\n")
}

#' Turn errors into messages and exit statuses, for the rest of the process
#'
#' After a `user_error` R quits with status 2 and the message alone; after any
#' other error with status 1, the message and the calls that led to it. An error
#' of another process brings its calls along: see [with_calls()].
#'
#' @param name Name of the stage, the prefix of its messages.
#' @return `NULL`, invisibly.
report_errors <- function(name) {
  fail <- \(status, ...) {
    message(name, ": error: ", ...)
    quit(save = "no", status = status)
  }
  globalCallingHandlers(
    user_error = \(e) fail(2, conditionMessage(e)),
    error = \(e) {
      calls <- if (is.null(e[["calls"]])) sys.calls() else e[["calls"]]
      trace <- vapply(calls, \(call) deparse(call, nlines = 1)[1], character(1))
      fail(1, conditionMessage(e), "\n", paste0("  ", trace, collapse = "\n"))
    }
  )
  invisible(NULL)
}

#' Attach to an error where it happened
#'
#' Conditions cross processes, the stack of calls does not.
#'
#' @param work Expression.
#' @param label What the work is about, the beginning of the message.
#' @return Value of `work`; an error other than the user's is signalled with
#'   `calls` and the label.
with_calls <- function(work, label) {
  outside <- seq_len(sys.nframe())
  withCallingHandlers(work, error = \(e) {
    if (!inherits(e, "user_error")) {
      e$message <- paste0(label, ": ", conditionMessage(e))
      e$calls <- sys.calls()[-outside]
    }
    stop(e)
  })
}

# ---- Interactive sessions ----------------------------------------------------

#' The options with which a run called a stage
#'
#' They are read from the command that begins the stage's log, in the run and
#' for the benchmark that [work_on()] has chosen. Inputs are those of the run.
#' What the stage writes goes to a temporary folder instead, so that nobody
#' overwrites a run by trying something; one thread works, since forks do not
#' get on with RStudio.
#'
#' @param name Name of the stage.
#' @param spec List of [stage_option()]s.
#' @return Named list of option values; a message says where they come from.
interactive_options <- function(name, spec) {
  log <- stage_log(
    name,
    getOption("itemwise.run"),
    getOption("itemwise.benchmark")
  )
  command <- grep(
    sprintf("^Rscript .*\\b%s\\.R ", name),
    readLines(log, encoding = "UTF-8"),
    value = TRUE
  )
  if (length(command) == 0) {
    user_error(
      log,
      ": lacks the command of the stage, which failed before it began; mend ",
      "what the log says, and run the workflow once more"
    )
  }
  words <- split_words(command[length(command)])
  opts <- stage_options(spec, words[-seq_len(grep("\\.R$", words)[1])])
  folder <- file.path(tempdir(), name)
  for (option in names(opts)) {
    if (grepl("^(out|out_.*|record|loadings|item_fit|person_fit)$", option)) {
      if (!is.null(opts[[option]])) {
        opts[[option]] <- file.path(folder, basename(opts[[option]]))
      }
    }
  }
  if (!is.null(opts$threads)) {
    opts$threads <- 1L
  }
  message("options of ", log, "; what is written goes to ", folder)
  opts
}

#' Find the log of a stage
#'
#' @param name Name of the stage.
#' @param run Results folder of a run.
#' @param benchmark Name of a benchmark, where the stage has several logs.
#' @return Path of the log.
stage_log <- function(name, run, benchmark = NULL) {
  if (is.null(run)) {
    user_error(
      "no run is chosen; first: source(\"R/lib/load.R\"); ",
      "run <- load_run(\"results/<run>\"); work_on(run, \"<benchmark>\")"
    )
  }
  logs <- Sys.glob(file.path(run, "logs", name, "*.log"))
  names(logs) <- sub("\\.log$", "", basename(logs))
  if (length(logs) == 0) {
    user_error(run, ": has no log of ", name, "; this run did not call it")
  }
  if (length(logs) == 1) {
    return(logs[[1]])
  }
  if (is.null(benchmark) || !benchmark %in% names(logs)) {
    user_error(
      run,
      ": choose a benchmark by work_on(run, name): ",
      paste(names(logs), collapse = ", ")
    )
  }
  logs[[benchmark]]
}

#' Write words as a shell reads them
#'
#' @param words Character vector.
#' @return Character vector; words with other than plain characters in single
#'   quotes, line breaks become spaces.
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
