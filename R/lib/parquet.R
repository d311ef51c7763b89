# Parquet by nanoparquet, else arrow, else the Python command.

#' Choose what reads and writes parquet
#'
#' @return `"nanoparquet"`, `"arrow"` or `"python"`, the first that is there;
#'   the environment variable `ITEMWISE_R_PARQUET` forces one.
parquet_backend <- function() {
  there <- list(
    nanoparquet = \() requireNamespace("nanoparquet", quietly = TRUE),
    arrow = \() requireNamespace("arrow", quietly = TRUE),
    python = \() nzchar(Sys.which(itemwise_command()))
  )
  forced <- Sys.getenv("ITEMWISE_R_PARQUET")
  if (nzchar(forced) && !forced %in% names(there)) {
    user_error(
      "ITEMWISE_R_PARQUET is '",
      forced,
      "', not one of ",
      paste(names(there), collapse = ", "),
      "; correct or unset it"
    )
  }
  wanted <- if (nzchar(forced)) forced else names(there)
  backend <- Find(\(name) there[[name]](), wanted)
  if (is.null(backend)) {
    user_error(
      "parquet cannot be read or written by ",
      paste(wanted, collapse = ", "),
      ": not installed; ",
      "install the R package nanoparquet, or set ITEMWISE_R_PARQUET to ",
      "what is installed"
    )
  }
  backend
}

#' Name the project's Python command
#'
#' @return The environment variable `ITEMWISE_COMMAND`, else `"itemwise"`.
itemwise_command <- function() {
  Sys.getenv("ITEMWISE_COMMAND", "itemwise")
}

#' Convert between parquet and CSV by the Python command
#'
#' @param ... Arguments of `itemwise convert-table`.
#' @return `NULL`; an error holds what the command printed.
convert_table <- function(...) {
  printed <- suppressWarnings(system2(
    itemwise_command(),
    c("convert-table", shQuote(c(...))),
    stdout = TRUE,
    stderr = TRUE,
    # R puts its own folders first, and Python would load libraries from there.
    env = paste0("LD_LIBRARY_PATH=", shQuote(callers_library_path()))
  ))
  if (!is.null(attr(printed, "status"))) {
    stop(paste(printed, collapse = " "), call. = FALSE)
  }
}

#' The library path of R's caller
#'
#' R's start-up script puts its own folders before what `LD_LIBRARY_PATH` held.
#'
#' @return String; empty when the variable was not set.
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

#' Read parquet by the Python command
#'
#' @param path Parquet file.
#' @param table Name of the table in the contract, for the column types: an
#'   id such as `"007"` stays a string.
#' @return Data frame.
read_by_command <- function(path, table) {
  csv <- tempfile(fileext = ".csv")
  on.exit(unlink(csv))
  convert_table("--in", path, "--out", csv)
  header <- scan(
    csv,
    character(),
    sep = ",",
    quote = "\"",
    nlines = 1,
    quiet = TRUE,
    encoding = "UTF-8"
  )
  types <- vapply(
    rules_of(header, table_rules(table)),
    \(rule) {
      if (is.null(rule)) {
        NA_character_
      } else if (rule$type == "string") {
        "character"
      } else {
        "numeric" # integers too: a fraction is then reported with its row
      }
    },
    character(1)
  )
  utils::read.csv(
    csv,
    colClasses = unname(types),
    check.names = FALSE,
    # Writers that quote strings may quote a null number as well, and quotes
    # are part of the field where a number is expected.
    na.strings = c("", "\"\""),
    encoding = "UTF-8"
  )
}

#' Write parquet by the Python command
#'
#' @param x Data frame.
#' @param path Parquet file.
#' @param table Name of the table in the contract, for the column types.
#' @return `NULL`.
write_by_command <- function(x, path, table) {
  csv <- tempfile(fileext = ".csv")
  # The command tells formats by extension, which a temporary name lacks.
  parquet <- tempfile(fileext = ".parquet")
  on.exit(unlink(c(csv, parquet)))
  quoted <- which(vapply(x, is.character, logical(1)))
  x[] <- lapply(x, \(values) {
    # write.csv() would round to 15 digits, two fewer than a double needs.
    if (!is.double(values)) {
      return(values)
    }
    ifelse(is.na(values), NA, sprintf("%.17g", values))
  })
  utils::write.csv(
    x,
    csv,
    row.names = FALSE,
    na = "",
    quote = quoted,
    fileEncoding = "UTF-8"
  )
  convert_table("--in", csv, "--out", parquet, "--table", table)
  stopifnot(file.copy(parquet, path, overwrite = TRUE))
}
