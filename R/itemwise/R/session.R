# Where a stage's options come from in an interactive session.

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
#' @noRd
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
      ": lacks the command of the stage, which failed before it began; fix ",
      "what the log says, and run the workflow once more"
    )
  }
  words <- split_words(command[length(command)])
  opts <- stage_options(spec, words[-seq_len(grep("\\.R$", words)[1])])
  folder <- file.path(tempdir(), name)
  for (option in Filter(\(option) option$type == "output", spec)) {
    name <- option_key(option)
    if (!is.null(opts[[name]])) {
      opts[[name]] <- file.path(folder, basename(opts[[name]]))
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
#' @noRd
stage_log <- function(name, run, benchmark = NULL) {
  if (is.null(run)) {
    user_error(
      "no run is chosen; first: source(\"R/itemwise/load.R\"); ",
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
