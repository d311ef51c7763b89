# The tables of a results folder in an interactive session.

#' List the kinds of tables in a results folder
#'
#' @return Data frame of the tables in `python/itemwise/tables/results.csv`
#'   whose place is known: its `folder` (that of a stage, or `training` and
#'   `test`; those in folders within are not loaded), its `file` there without
#'   extension, the `table` of the contract that it holds, and the name in a
#'   `session` that [work_on()] gives it, empty for none.
#' @noRd
run_tables <- function() {
  kinds <- utils::read.csv(
    file.path(project_root(), "python/itemwise/tables/results.csv"),
    colClasses = "character",
    na.strings = character()
  )
  kinds <- kinds[nzchar(kinds$table) & nzchar(kinds$file), ]
  kinds$folder <- dirname(kinds$file)
  kinds$file <- sub("\\.parquet$", "", basename(kinds$file))
  kinds
}

#' Make the tables of a run available by folder and benchmark
#'
#' A table is read, and checked against the contract, when it is first used: a
#' large run costs nothing to load.
#'
#' @param results Results folder of a run, such as `"results/mine"`.
#' @return Environment of class `itemwise_run` with one environment a folder:
#'   that of a stage, or `training` and `test`. In it each table has the name of
#'   its file: `run$fit_readout$arc`, `run$fit_readout$arc.features`,
#'   `run$training$arc`; a JSON record is a list, under the name `arc.record`.
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
  folders <- intersect(unique(kinds$folder), list.files(results))
  if (length(folders) == 0) {
    user_error(
      results,
      ": no results of a run; give its folder, such as results/mine, and set ",
      "the working directory to the clone"
    )
  }
  run <- new.env()
  for (folder in folders) {
    tables <- folder_tables(
      file.path(results, folder),
      kinds[kinds$folder == folder, ]
    )
    if (length(ls(tables)) > 0) {
      run[[folder]] <- tables
    }
  }
  structure(run, class = "itemwise_run", results = results)
}

#' Make the files of one folder available
#'
#' @param folder Folder of a stage, or of training or test tables.
#' @param kinds Rows of [run_tables()] of the folder.
#' @return Environment whose tables and records are read when first used.
#'   Files of no known kind are left out.
#' @noRd
folder_tables <- function(folder, kinds) {
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
#' @param kinds Rows of [run_tables()] of its folder.
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
    \(folder, file) folder %in% ls(run) && file %in% ls(run[[folder]]),
    kinds$folder,
    kinds$file
  )
  kinds <- kinds[there & nzchar(kinds$session), ]
  for (row in seq_len(nrow(kinds))) {
    delayed_binding(
      envir,
      kinds$session[row],
      get,
      kinds$file[row],
      run[[kinds$folder[row]]]
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
  folders <- intersect(unique(run_tables()$folder), ls(x))
  for (folder in folders) {
    cat(
      "  ",
      folder,
      ": ",
      paste(ls(x[[folder]]), collapse = ", "),
      "\n",
      sep = ""
    )
  }
  invisible(x)
}
