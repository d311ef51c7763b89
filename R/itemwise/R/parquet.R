# Parquet by nanoparquet; where that is not installed, by the clone's Python.

#' Choose what reads and writes parquet
#'
#' @return `"nanoparquet"` where it is installed, else `"python"`; the
#'   environment variable `ITEMWISE_R_PARQUET` forces one.
#' @noRd
parquet_backend <- function() {
  forced <- Sys.getenv("ITEMWISE_R_PARQUET")
  if (forced %in% c("nanoparquet", "python")) {
    return(forced)
  }
  if (nzchar(forced)) {
    user_error(
      "ITEMWISE_R_PARQUET is '",
      forced,
      "', not nanoparquet or python; correct or unset it"
    )
  }
  there <- requireNamespace("nanoparquet", quietly = TRUE)
  if (there) "nanoparquet" else "python"
}

#' Read the columns of a parquet file
#'
#' @param path Parquet file.
#' @return Named list of character, logical, integer and double vectors. A
#'   64-bit integer is a double with the attribute `int64`, so that it can be
#'   written as what it was.
#' @noRd
read_columns <- function(path) {
  if (parquet_backend() == "python") {
    return(read_by_python(path))
  }
  columns <- as.list(nanoparquet::read_parquet(path))
  schema <- nanoparquet::read_parquet_schema(path)
  int64 <- schema$name[schema$type %in% "INT64" & is.na(schema$num_children)]
  columns <- Map(plain_column, columns, names(columns), path)
  mark_int64(columns, int64, path)
}

#' Write columns as a parquet file
#'
#' @param columns Named list of vectors, as of [read_columns()].
#' @param path Parquet file.
#' @param table Name of the table in the contract, for the types of columns.
#' @return `NULL`.
#' @noRd
write_columns <- function(columns, path, table) {
  columns <- Map(plain_column, columns, names(columns), path)
  int64 <- Filter(\(name) is_int64(columns[[name]]), names(columns))
  if (parquet_backend() == "python") {
    return(write_by_python(columns, int64, path, table))
  }
  types <- stats::setNames(as.list(rep("INT64", length(int64))), int64)
  nanoparquet::write_parquet(
    list2DF(lapply(columns, as.vector)),
    path,
    schema = do.call(nanoparquet::parquet_schema, types),
    compression = "snappy"
  )
  # nanoparquet does not say that a disk is full; a whole file ends as it began.
  file <- file(path, "rb")
  on.exit(close(file))
  seek(file, max(0, file.size(path) - 4))
  if (!identical(readBin(file, "raw", 4), charToRaw("PAR1"))) {
    stop("No space left on device", call. = FALSE)
  }
}

#' Turn a column into what both languages have
#'
#' @param values Vector.
#' @param name Name of the column, for messages.
#' @param source Where it comes from, for messages.
#' @return The vector; factors, dates and times as texts, and not-a-number as
#'   missing.
#' @noRd
plain_column <- function(values, name, source) {
  if (is.factor(values)) {
    values <- as.character(values)
  } else if (inherits(values, "Date")) {
    values <- format(values, "%Y-%m-%d")
  } else if (inherits(values, "POSIXct")) {
    values <- format(values, "%Y-%m-%dT%H:%M:%S", tz = "UTC")
  }
  if (!is.atomic(values) || is.object(values) || is.complex(values)) {
    user_error(
      source,
      ": column '",
      name,
      "': holds ",
      class(values)[1],
      " values, which R cannot take; write them as text"
    )
  }
  if (is.double(values)) {
    values[is.nan(values)] <- NA
  }
  values
}

#' Mark columns that are 64-bit integers in files
#'
#' R has no such type: a double holds every whole number below 2^53.
#'
#' @param columns Named list of vectors.
#' @param names Which of them are 64-bit integers.
#' @param source Where they come from, for messages.
#' @return The list; a user error where a number may have been rounded.
#' @noRd
mark_int64 <- function(columns, names, source) {
  for (name in names) {
    if (any(abs(columns[[name]]) >= 2^53, na.rm = TRUE)) {
      user_error(
        source,
        ": column '",
        name,
        "': holds whole numbers of 2^53 or more, which R cannot hold; write ",
        "them as text"
      )
    }
    attr(columns[[name]], "int64") <- TRUE
  }
  columns
}

#' Tell whether a column is to be a 64-bit integer in files
#'
#' @param values Vector.
#' @return One logical.
#' @noRd
is_int64 <- function(values) {
  is.double(values) && isTRUE(attr(values, "int64"))
}

# ---- Through Python ----------------------------------------------------------

# One Python process converts all tables of an R process: starting it takes
# longer than converting. What it is asked goes through its standard input, and
# its answers are files in a folder (python/itemwise/r/exchange.py).
exchange <- new.env()

#' Read the columns of a parquet file by Python
#'
#' @param path Parquet file.
#' @return Named list of vectors, as of [read_columns()].
#' @noRd
read_by_python <- function(path) {
  rds <- tempfile(fileext = ".rds")
  on.exit(unlink(rds))
  ask_python(from = full_path(path), to = rds)
  content <- readRDS(rds)
  columns <- lapply(content$columns, \(x) {
    if (is.list(x)) x$levels[x$codes] else x
  })
  columns <- Map(plain_column, columns, names(columns), path)
  mark_int64(columns, content$int64, path)
}

#' Write columns as a parquet file by Python
#'
#' @param columns Named list of vectors.
#' @param int64 Names of those that are 64-bit integers.
#' @param path Parquet file.
#' @param table Name of the table in the contract.
#' @return `NULL`.
#' @noRd
write_by_python <- function(columns, int64, path, table) {
  rds <- tempfile(fileext = ".rds")
  on.exit(unlink(rds))
  content <- list(columns = lapply(columns, as_written), int64 = int64)
  # The bytes of saveRDS(), which would not notice that the disk is full.
  write_bytes(serialize(content, NULL), rds)
  # The file does not exist yet, its folder does.
  to <- file.path(full_path(dirname(path)), basename(path))
  ask_python(from = rds, to = to, table = table)
}

#' Prepare a column for Python
#'
#' @param values Vector.
#' @return The vector without attributes; texts as list of `levels`, each once,
#'   and `codes`.
#' @noRd
as_written <- function(values) {
  values <- as.vector(values)
  if (!is.character(values)) {
    return(values)
  }
  levels <- unique(values[!is.na(values)])
  list(levels = levels, codes = match(values, levels))
}

#' Have Python convert a table
#'
#' @param ... Parts of the request, by name.
#' @return `NULL`; an error with Python's words where it failed.
#' @noRd
ask_python <- function(...) {
  # A forked process must not answer for its parent.
  if (!identical(exchange$owner, Sys.getpid())) {
    start_python()
  }
  exchange$number <- exchange$number + 1
  request <- list(number = exchange$number, ...)
  line <- enc2utf8(jsonlite::toJSON(request, auto_unbox = TRUE))
  answer <- file.path(exchange$folder, exchange$number)
  tryCatch(
    {
      writeLines(line, exchange$requests, useBytes = TRUE)
      flush(exchange$requests)
    },
    error = \(e) NULL # the process has ended: what follows says why
  )
  while (!file.exists(answer)) {
    if (file.exists(file.path(exchange$folder, "ended"))) {
      fail_python()
    }
    Sys.sleep(0.002)
  }
  said <- readLines(answer, warn = FALSE, encoding = "UTF-8")
  unlink(answer)
  if (length(said) > 0) {
    stop(paste(said, collapse = " "), call. = FALSE)
  }
}

#' Start the Python process
#'
#' @return `NULL`.
#' @noRd
start_python <- function() {
  folder <- tempfile("exchange")
  dir.create(folder)
  in_folder <- \(name) shQuote(file.path(folder, name))
  command <- sprintf(
    paste0(
      "LD_LIBRARY_PATH=%s %s -m itemwise.r.exchange %s 2> %s;",
      " touch %s 2> /dev/null"
    ),
    # R puts its own folders first, and Python would load libraries from there.
    shQuote(callers_library_path()),
    shQuote(find_python()),
    shQuote(folder),
    in_folder("log"),
    in_folder("ended")
  )
  exchange$requests <- pipe(command, "w")
  exchange$folder <- folder
  exchange$number <- 0
  exchange$owner <- Sys.getpid()
}

#' Say why the Python process ended
#'
#' @return Nothing; a user error.
#' @noRd
fail_python <- function() {
  log <- readLines(file.path(exchange$folder, "log"), warn = FALSE)
  exchange$owner <- NULL
  user_error(
    find_python(),
    ": cannot convert tables for R (",
    if (length(log) > 0) utils::tail(log, 1) else "it ended",
    "); run `make setup`, or install the R package nanoparquet"
  )
}

#' Find the Python that holds the package
#'
#' @return Path: the environment variable `ITEMWISE_PYTHON`, which a workflow
#'   sets, else that of the clone's `.venv`.
#' @noRd
find_python <- function() {
  given <- Sys.getenv("ITEMWISE_PYTHON")
  if (nzchar(given)) {
    return(given)
  }
  # Not resolved further: a virtual environment is known by its link.
  python <- file.path(full_path(project_root()), ".venv/bin/python")
  if (!file.exists(python)) {
    user_error(
      "R has no parquet package, and the clone no Python to convert tables (",
      python,
      "); run `make setup`, or set ITEMWISE_PYTHON to a Python that has ",
      "itemwise"
    )
  }
  python
}

#' The library path of R's caller
#'
#' R's start-up script puts its own folders before what `LD_LIBRARY_PATH` held.
#'
#' @return String; empty when the variable was not set.
#' @noRd
callers_library_path <- function() {
  own <- system2(
    "sh",
    c(
      "-c",
      shQuote(paste(
        "unset LD_LIBRARY_PATH; . \"$R_HOME/etc/ldpaths\";",
        "printf %s \"$LD_LIBRARY_PATH\""
      ))
    ),
    stdout = TRUE
  )
  folders <- \(path) strsplit(paste0(path, ""), ":", fixed = TRUE)[[1]]
  paste(
    setdiff(folders(Sys.getenv("LD_LIBRARY_PATH")), folders(own)),
    collapse = ":"
  )
}
