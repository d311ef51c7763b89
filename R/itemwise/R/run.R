# The tables of a results folder in an interactive session.

#' List the kinds of tables in a results folder
#'
#' @return Data frame of the tables in `python/itemwise/tables/results.csv`:
#'   the `stage`, its `file` without extension (empty where an option alone says
#'   which; those in folders of their own are not loaded), the `table` of the
#'   contract that it holds, and the name in a `session` that [work_on()] gives
#'   it, empty for none.
#' @noRd
run_tables <- function() {
  kinds <- utils::read.csv(
    file.path(project_root(), "python/itemwise/tables/results.csv"),
    colClasses = "character",
    na.strings = character()
  )
  kinds$file <- sub("\\.parquet$", "", kinds$file)
  kinds[nzchar(kinds$table), ]
}

#' Make the tables of a run available by stage and benchmark
#'
#' A table is read, and checked against the contract, when it is first used: a
#' large run costs nothing to load.
#'
#' @param results Results folder of a run, such as `"results/mine"`.
#' @return Environment of class `itemwise_run` with one environment a stage. In
#'   it each table has the name of its file: `run$fit_readout$arc`, and
#'   `run$fit_readout$arc.features`; a JSON record is a list, under the name
#'   `arc.record`.
#' @examples
#' \dontrun{
#' run <- load_run("results/mine")
#' run
#' hist(run$fit_irt$arc$a)
#' }
#' @export
load_run <- function(results) {
  results <- sub("/+$", "", results)
  kinds <- run_tables()
  stages <- intersect(unique(kinds$stage), list.files(results))
  if (length(stages) == 0) {
    user_error(
      results,
      ": no results of a run; give its folder, such as results/mine, and set ",
      "the working directory to the clone"
    )
  }
  run <- new.env()
  for (stage in stages) {
    tables <- stage_tables(
      file.path(results, stage),
      kinds[kinds$stage == stage, ]
    )
    if (length(ls(tables)) > 0) {
      run[[stage]] <- tables
    }
  }
  structure(run, class = "itemwise_run", results = results)
}

#' Make the files of one stage available
#'
#' @param folder Folder of the stage.
#' @param kinds Rows of [run_tables()] of the stage.
#' @return Environment whose tables and records are read when first used.
#'   Files of no known kind are left out.
#' @noRd
stage_tables <- function(folder, kinds) {
  tables <- new.env()
  for (file in list.files(folder, "\\.parquet$")) {
    name <- sub("\\.parquet$", "", file)
    table <- table_of(name, kinds)
    if (!is.null(table)) {
      delayed_binding(tables, name, read_table, file.path(folder, file), table)
    }
  }
  for (file in list.files(folder, "\\.json$")) {
    name <- sub("\\.json$", ".record", file)
    delayed_binding(tables, name, read_record, file.path(folder, file))
  }
  tables
}

#' Find which table of the contract a file holds
#'
#' @param name Name of the file without extension.
#' @param kinds Rows of [run_tables()] of the stage.
#' @return Name of the table; `NULL` for a file of no known kind.
#' @noRd
table_of <- function(name, kinds) {
  patterns <- gsub("\\{\\w+\\}", "*", kinds$file)
  fits <- vapply(utils::glob2rx(patterns), grepl, NA, x = name)
  # `arc.items` fits `{benchmark}` too: the longest pattern is the right one.
  kinds$table[fits][which.max(nchar(patterns[fits]))] |> only_element()
}

#' Take the only element of a vector
#'
#' @param x Vector of at most one element.
#' @return The element; `NULL` where there is none.
#' @noRd
only_element <- function(x) {
  if (length(x) == 1) x
}

#' Read a JSON record
#'
#' @param path File that a stage wrote with [write_record()].
#' @return Named list; arrays of scalars are vectors.
#' @export
read_record <- function(path) {
  jsonlite::read_json(path, simplifyVector = TRUE)
}

#' Bind a name to a value that is made when it is first used
#'
#' @param envir Environment that gets the name.
#' @param name String.
#' @param make Function.
#' @param ... Its arguments.
#' @return `NULL`, invisibly.
#' @noRd
delayed_binding <- function(envir, name, make, ...) {
  arguments <- list(...)
  force(make)
  delayedAssign(name, do.call(make, arguments), assign.env = envir)
}

#' Put the tables of one benchmark into the session by name
#'
#' @param run Run, from [load_run()].
#' @param benchmark Name of a benchmark.
#' @param envir Environment that gets the tables; by default the workspace.
#' @return The names, invisibly. Stages that are run line by line afterwards
#'   take their options from this run and benchmark.
#' @examples
#' \dontrun{
#' work_on(load_run("results/mine"), "arc")
#' plot(parameters$d, parameters$a)
#' }
#' @export
work_on <- function(run, benchmark, envir = globalenv()) {
  results <- attr(run, "results")
  if (!benchmark %in% run_benchmarks(run)) {
    user_error(
      results,
      ": no benchmark '",
      benchmark,
      "'; it has ",
      format_list(run_benchmarks(run))
    )
  }
  kinds <- run_tables()
  kinds$file <- sub("{benchmark}", benchmark, kinds$file, fixed = TRUE)
  there <- mapply(
    \(stage, file) stage %in% ls(run) && file %in% ls(run[[stage]]),
    kinds$stage,
    kinds$file
  )
  kinds <- kinds[there & nzchar(kinds$session), ]
  for (row in seq_len(nrow(kinds))) {
    delayed_binding(
      envir,
      kinds$session[row],
      get,
      kinds$file[row],
      run[[kinds$stage[row]]]
    )
  }
  options(itemwise.run = results, itemwise.benchmark = benchmark)
  message("in the session: ", paste(kinds$session, collapse = ", "))
  invisible(kinds$session)
}

#' Name the benchmarks of a run
#'
#' @param run Run, from [load_run()].
#' @return Character vector.
#' @noRd
run_benchmarks <- function(run) {
  built <- ls(run$build_responses)
  sub("\\.subjects$", "", grep("\\.subjects$", built, value = TRUE))
}

#' Print what a run holds
#'
#' @param x Run, from [load_run()].
#' @param ... Ignored.
#' @return `x`, invisibly.
#' @export
print.itemwise_run <- function(x, ...) {
  cat("Run ", attr(x, "results"), ", stage by stage:\n", sep = "")
  stages <- intersect(unique(run_tables()$stage), ls(x))
  for (stage in stages) {
    cat(
      "  ",
      stage,
      ": ",
      paste(ls(x[[stage]]), collapse = ", "),
      "\n",
      sep = ""
    )
  }
  invisible(x)
}
