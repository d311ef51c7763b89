# Tables and records in files.

#' Convert a responses table to a matrix
#'
#' @param tbl `responses`, `training` or `test` table: what the contract of
#'   `responses` names is no item.
#' @return Integer matrix, subjects x items, with both names: 1 right, 0 wrong,
#'   `NA` not administered.
#' @noRd
responses_matrix <- function(tbl) {
  items <- setdiff(names(tbl), names(table_rules("responses")))
  matrix(
    unlist(tbl[items], use.names = FALSE),
    nrow = nrow(tbl),
    dimnames = list(tbl$subject, items)
  )
}

#' Read a table and check it
#'
#' @param path Parquet file.
#' @param table Name of the table in the contract.
#' @return Data frame that keeps the contract; a user error names what breaks
#'   it, by file, column, row (counted from 1) and remedy.
#' @export
read_table <- function(path, table) {
  if (!file.exists(path)) {
    user_error(
      path,
      ": no such file; check the path, or run the stage that writes it"
    )
  }
  if (endsWith(path, ".csv")) {
    user_error(
      path,
      ": is a CSV, and R stages read parquet; convert it by itemwise ",
      "convert-table --in ",
      path,
      " --out ",
      sub("csv$", "parquet", path),
      " --table ",
      table
    )
  }
  columns <- tryCatch(
    read_columns(path),
    error = \(e) {
      if (inherits(e, "user_error")) {
        stop(e)
      }
      said <- strsplit(conditionMessage(e), "\n")[[1]][1]
      whole <- full_path(path)
      if (startsWith(said, whole)) {
        user_error(sub(whole, path, said, fixed = TRUE)) # Python's message
      }
      user_error(
        path,
        ": cannot be read as parquet, it is damaged, cut off or of another ",
        "format (",
        said,
        "); write or download it again"
      )
    }
  )
  check_table(list2DF(columns), table, path)
}

#' Check a table and write it
#'
#' @param x Data frame.
#' @param path Parquet file; its folder is made where there is none.
#' @param table Name of the table in the contract.
#' @return `path`, invisibly. The file is whole or absent.
#' @export
write_table <- function(x, path, table) {
  x <- check_table(x, table, path)
  write_atomically(path, \(temporary) {
    write_columns(as.list(x), temporary, table)
  })
}

#' Write a table without rows
#'
#' @param path Parquet file.
#' @param table Name of the table in the contract.
#' @return `path`, invisibly.
#' @noRd
write_without_rows <- function(path, table) {
  rules <- Filter(\(rule) rule$required, table_rules(table))
  empty <- list(string = character(), integer = integer(), number = numeric())
  columns <- lapply(rules, \(rule) empty[[rule$type]])
  write_atomically(path, \(temporary) write_columns(columns, temporary, table))
}

#' Write a JSON record
#'
#' @param record Named list; vectors of length one become scalars, missing and
#'   infinite numbers become null.
#' @param path File to write.
#' @return `path`, invisibly. The file is whole or absent.
#' @export
write_record <- function(record, path) {
  json <- jsonlite::toJSON(
    record,
    auto_unbox = TRUE,
    digits = NA,
    pretty = TRUE,
    na = "null",
    null = "null"
  )
  write_atomically(path, \(temporary) {
    write_bytes(charToRaw(paste0(enc2utf8(json), "\n")), temporary)
  })
}

# What the system says when a disk is full or a quota is used up.
disk_full <- "No space left on device|Disk quota exceeded"

#' Write bytes, all of them
#'
#' A connection may fail when it is closed, without an error.
#'
#' @param bytes Raw vector.
#' @param path File to write.
#' @return `NULL`; an error where the disk is full.
#' @noRd
write_bytes <- function(bytes, path) {
  suppressWarnings(writeBin(bytes, path))
  if (!identical(file.size(path), as.numeric(length(bytes)))) {
    stop("No space left on device", call. = FALSE)
  }
}

#' Write a file so that it is whole or absent
#'
#' The file is written under a temporary name beside its place and then
#' renamed, which a file system does in one step.
#'
#' @param path File to write; its folder is made where there is none.
#' @param write Function of one path that writes the file there.
#' @return `path`, invisibly.
#' @noRd
write_atomically <- function(path, write) {
  folder <- dirname(path)
  dir.create(folder, recursive = TRUE, showWarnings = FALSE)
  if (!dir.exists(folder) || file.access(folder, 2) != 0) {
    user_error(path, ": its folder cannot be written; choose another file")
  }
  temporary <- file.path(
    folder,
    sprintf(".%s.%d.tmp", basename(path), Sys.getpid())
  )
  on.exit(unlink(temporary))
  tryCatch(
    write(temporary),
    error = \(e) {
      # A script's errors end R from within, before any on.exit().
      unlink(temporary)
      if (!grepl(disk_full, conditionMessage(e))) {
        stop(e)
      }
      user_error(
        path,
        ": cannot be written (",
        regmatches(
          conditionMessage(e),
          regexpr(disk_full, conditionMessage(e))
        ),
        "); free space there and in ",
        tempdir(),
        ", then run again"
      )
    }
  )
  if (!suppressWarnings(file.rename(temporary, path))) {
    user_error(path, ": cannot be written; choose another file")
  }
  invisible(path)
}
