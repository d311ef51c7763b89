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

# How null is written in the CSV between R and Python: empty is a text too.
csv_null <- "\\N"

#' Convert between parquet and CSV by the Python command
#'
#' @param ... Arguments of `itemwise convert-table`.
#' @return `NULL`; an error holds what the command printed.
convert_table <- function(...) {
  printed <- suppressWarnings(system2(
    itemwise_command(),
    c("convert-table", shQuote(c(...)), "--null", shQuote(csv_null)),
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
    na.strings = c(csv_null, dQuote(csv_null, FALSE)),
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
    na = csv_null,
    quote = quoted,
    fileEncoding = "UTF-8"
  )
  written <- readBin(csv, "raw", file.size(csv))
  if (sum(written == charToRaw("\n")) <= nrow(x)) {
    stop("No space left on device", call. = FALSE) # write.csv() does not say
  }
  convert_table("--in", csv, "--out", parquet, "--table", table)
  write_bytes(readBin(parquet, "raw", file.size(parquet)), path)
}

# ---- Seals -------------------------------------------------------------------

# A table carries the MD5 of its bytes between the last page and the footer,
# where no reader looks, because parquet itself notices little damage and
# nanoparquet may crash on it. python/itemwise/tables/checksum.py does the same.
seal_mark <- charToRaw("itemwise:md5:")

#' Insert the checksum of a parquet file into it
#'
#' @param path Parquet file, just written.
#' @return `NULL`; an error where its writer ran out of space, which nanoparquet
#'   does not report.
seal_parquet <- function(path) {
  bytes <- readBin(path, "raw", file.size(path))
  if (!ends_as_parquet(bytes)) {
    stop("No space left on device", call. = FALSE)
  }
  size <- length(bytes)
  footer <- readBin(bytes[size - 7:4], "integer", endian = "little")
  pages <- seq_len(size - 8 - footer)
  seal <- c(seal_mark, charToRaw(md5_of(bytes)))
  write_bytes(c(bytes[pages], seal, bytes[-pages]), path)
}

#' Compare a file with its checksum
#'
#' @param path Parquet file. Without a checksum, or truncated, it is the
#'   reader's to judge.
#' @return `NULL`; a user error where the file changed since it was written.
check_seal <- function(path) {
  if (dir.exists(path)) {
    return(invisible())
  }
  bytes <- readBin(path, "raw", file.size(path))
  mark <- grepRaw(seal_mark, bytes, fixed = TRUE, all = TRUE)
  if (length(mark) == 0 || !ends_as_parquet(bytes)) {
    return(invisible())
  }
  seal <- max(mark) + seq_len(length(seal_mark) + 32) - 1
  found <- bytes[utils::tail(seal, 32)]
  if (!identical(found, charToRaw(md5_of(bytes[-seal])))) {
    user_error(
      path,
      ": is damaged, its checksum differs; delete it and run again, so that it",
      " is written anew"
    )
  }
}

#' Tell whether bytes end as a parquet file does
#'
#' @param bytes Raw vector.
#' @return One logical.
ends_as_parquet <- function(bytes) {
  identical(utils::tail(bytes, 4), charToRaw("PAR1"))
}

#' MD5 of bytes
#'
#' @param bytes Raw vector.
#' @return String of 32 hexadecimal digits.
md5_of <- function(bytes) {
  file <- tempfile() # R before 4.5 knows checksums of files only
  on.exit(unlink(file))
  write_bytes(bytes, file)
  unname(tools::md5sum(file))
}
