# How a stage begins and ends: its options, and what becomes of its errors.

#' Begin a stage
#'
#' As a process (`Rscript R/<name>.R ...`): parses the command line, and from
#' here on turns errors into messages and exit statuses. In an interactive
#' session: takes the options with which a run called the stage
#' (`interactive_options()`), so that the lines that follow can be run one by
#' one.
#'
#' @param name Name of the stage, the prefix of its messages.
#' @param spec List of [stage_option()]s.
#' @param description First paragraph of `--help`.
#' @return Named list of option values, as of [stage_options()].
#' @export
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
#' @noRd
run_line <- function(script) {
  header <- readLines(script, encoding = "UTF-8")
  header <- header[seq_len(which(!startsWith(header, "#"))[1] - 1)]
  lines <- header[seq(grep("^# Run\\.", header)[1], length(header))]
  paste(sub("^# (Run\\.)? *", "  ", lines), collapse = "\n")
}

#' Say why a stage has nothing to tell, and write that
#'
#' Its tables are written without rows, so that the workflow finds its files;
#' who reads them looks at the record first.
#'
#' @param reason A sentence.
#' @param tables Named character vector: table of the contract to file.
#' @param record Further keys of the record.
#' @param path JSON record to write.
#' @return Nothing: the script ends here, an interactive session by an error.
#' @noRd
leave_stage_out <- function(reason, tables, record, path) {
  for (table in names(tables)) {
    write_without_rows(tables[[table]], table)
  }
  write_record(c(record, list(left_out = reason)), path)
  if (interactive()) {
    user_error(reason)
  }
  message(reason)
  quit(save = "no", status = 0)
}

#' Turn errors into messages and exit statuses, for the rest of the process
#'
#' After a `user_error` R quits with status 2 and the message alone; after any
#' other error with status 1, the message and the calls that led to it. An error
#' of another process brings its calls along: see [with_calls()].
#'
#' @param name Name of the stage, the prefix of its messages.
#' @return `NULL`, invisibly.
#' @noRd
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
#' @noRd
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
