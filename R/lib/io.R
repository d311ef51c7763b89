# Tables: the contract that they keep, and the parquet files that hold them.

# ---- Contract ----------------------------------------------------------------

#' Find the project
#'
#' @return The folder that holds `R/` and `python/`: the option
#'   `itemwise.root`, else the environment variable `ITEMWISE_ROOT`, else the
#'   parent of the running script's folder `here`.
project_root <- function() {
  root <- getOption("itemwise.root", Sys.getenv("ITEMWISE_ROOT"))
  if (nzchar(root)) root else file.path(get("here", globalenv()), "..")
}

# What was read of the contract: a stage asks for it at every table.
contracts <- new.env()

#' Read the rules of a table from the contract
#'
#' @param table Name of the table.
#' @return Named list, one element a column: type, presence, nullable, minimum,
#'   maximum and choices. The name `*` stands for every other column.
table_rules <- function(table) {
  path <- file.path(project_root(), "python/itemwise/tables/contract.csv")
  if (is.null(contracts[[path]])) {
    contracts[[path]] <- utils::read.csv(path, colClasses = "character")
  }
  rules <- contracts[[path]][contracts[[path]]$table == table, ]
  stopifnot("the table is not in the contract" = nrow(rules) > 0)
  one_rule <- \(type, presence, nullable, minimum, maximum, choices) {
    list(
      type = type,
      required = presence %in% c("key", "required"),
      key = endsWith(presence, "key"),
      nullable = nullable == "yes",
      minimum = if (nzchar(minimum)) as.numeric(minimum) else -Inf,
      maximum = if (nzchar(maximum)) as.numeric(maximum) else Inf,
      choices = strsplit(choices, " ", fixed = TRUE)[[1]]
    )
  }
  columns <- c(
    "type",
    "presence",
    "nullable",
    "minimum",
    "maximum",
    "choices"
  )
  stats::setNames(
    do.call(Map, c(one_rule, unname(rules[columns]))),
    rules$column
  )
}

#' Find the rule of each column
#'
#' @param columns Names of the columns.
#' @param rules Rules of the table, from [table_rules()].
#' @return List as long as `columns`; `NULL` for a column that the contract
#'   does not know.
rules_of <- function(columns, rules) {
  rules[match(columns, names(rules), nomatch = match("*", names(rules)))]
}

#' Check a table against the contract
#'
#' @param x Data frame.
#' @param table Name of the table in the contract.
#' @param source Where the rows come from, for messages.
#' @return `x` as a plain data frame whose columns have the types of the
#'   contract; columns that it does not know are kept as they are.
check_table <- function(x, table, source) {
  rules <- table_rules(table)
  check_columns(names(x), rules, table, source)
  if (nrow(x) == 0) {
    user_error(
      source,
      ": table '",
      table,
      "' has no rows; check the stage that writes ",
      "it"
    )
  }
  # Columns are handled as a list: replacing them one by one in a data frame
  # copies its whole column index, which is slow for thousands of items.
  columns <- Map(
    \(values, name, rule) {
      if (is.null(rule)) values else check_column(values, name, rule, source)
    },
    as.list(x),
    names(x),
    rules_of(names(x), rules)
  )
  x <- list2DF(stats::setNames(columns, names(x)), nrow(x))
  check_key(x[names(Filter(\(rule) rule$key, rules[names(x)]))], source)
  x
}

#' Check that the columns of a table are there, each once
#'
#' @param columns Names of the columns.
#' @param rules Rules of the table.
#' @inheritParams check_table
#' @return `NULL`; a user error at the first breach.
check_columns <- function(columns, rules, table, source) {
  quoted <- \(names) listed(sprintf("'%s'", names))
  if (anyDuplicated(columns)) {
    user_error(
      source,
      ": column '",
      columns[anyDuplicated(columns)],
      "' occurs twice; keep one"
    )
  }
  required <- names(Filter(\(rule) rule$required, rules))
  absent <- setdiff(required, c(columns, "*"))
  if (length(absent) > 0) {
    user_error(
      source,
      ": table '",
      table,
      "' lacks the column ",
      quoted(absent),
      "; it has ",
      quoted(columns),
      ": rename or add the column"
    )
  }
  if ("*" %in% required && length(setdiff(columns, names(rules))) == 0) {
    user_error(
      source,
      ": table '",
      table,
      "' has no item column; add one column an item"
    )
  }
}

#' Check the type, nulls, range and choices of one column
#'
#' @param values The column.
#' @param name Its name.
#' @param rule Its rule, an element of [table_rules()].
#' @param source Where the rows come from, for messages.
#' @return The column in the type of the contract.
check_column <- function(values, name, rule, source) {
  where <- paste0(source, ": column '", name, "'")
  if (is.factor(values)) {
    values <- as.character(values)
  }
  null <- is.na(values)
  if (!rule$nullable && any(null)) {
    user_error(
      where,
      ", row ",
      which(null)[1],
      ": is null; give a value or leave the row out"
    )
  }
  text <- rule$type == "string"
  if (!all(null) && !(if (text) is.character(values) else is_plain(values))) {
    user_error(
      where,
      ": holds ",
      class(values)[1],
      " values, not ",
      expected(rule),
      "; convert the column"
    )
  }
  wrong <- which(!null & !is_valid(values, rule))
  if (length(wrong) > 0) {
    user_error(
      where,
      ", row ",
      wrong[1],
      ": '",
      values[wrong[1]],
      "' is not ",
      expected(rule),
      "; correct the value"
    )
  }
  values[null] <- NA # not-a-number too is a missing value in the contract
  attr(values, "int64") <- NULL
  storage.mode(values) <- c(
    string = "character",
    integer = "integer",
    number = "double"
  )[[rule$type]]
  values
}

#' Tell plain numbers and logicals from dates and other classed vectors
#'
#' @param values Vector.
#' @return One logical.
is_plain <- function(values) {
  !is.object(values) && (is.numeric(values) || is.logical(values))
}

#' Tell which values keep a rule
#'
#' @param values Vector of the rule's type.
#' @param rule Element of [table_rules()].
#' @return Logical vector; anything where the value is missing.
is_valid <- function(values, rule) {
  if (rule$type == "string") {
    return(length(rule$choices) == 0 | values %in% rule$choices)
  }
  within <- is.finite(values) & values >= rule$minimum & values <= rule$maximum
  if (rule$type == "number" || !is.double(values)) {
    return(within)
  }
  within & values %% 1 == 0 & abs(values) <= .Machine$integer.max
}

#' Describe the values that a rule admits
#'
#' @param rule Element of [table_rules()].
#' @return One string.
expected <- function(rule) {
  if (length(rule$choices) > 0) {
    return(paste("one of", paste(rule$choices, collapse = ", ")))
  }
  text <- c(
    string = "a text",
    integer = "a whole number",
    number = "a finite number"
  )[[rule$type]]
  bounds <- c(
    if (is.finite(rule$minimum)) sprintf("at least %g", rule$minimum),
    if (is.finite(rule$maximum)) sprintf("at most %g", rule$maximum)
  )
  trimws(paste(text, paste(bounds, collapse = " and ")))
}

#' Check that no two rows have the same key
#'
#' @param key Data frame of the key columns, in the contract's order.
#' @param source Where the rows come from, for messages.
#' @return `NULL`; a user error names the first row that repeats a key.
check_key <- function(key, source) {
  # Pairs of positions are renumbered after every column, so that their
  # product never leaves the range in which doubles are exact.
  positions <- lapply(key, \(values) match(values, unique(values)))
  id <- Reduce(
    \(first, second) {
      pair <- as.double(first - 1) * max(second) + second
      match(pair, unique(pair))
    },
    positions
  )
  row <- anyDuplicated(id)
  if (row > 0) {
    values <- vapply(key[row, , drop = FALSE], as.character, character(1))
    user_error(
      source,
      ": row ",
      row,
      ": ",
      paste0(names(key), " '", values, "'", collapse = ", "),
      " occurs twice; keep one row of each"
    )
  }
}

#' Check that a table knows every subject of another
#'
#' Leaving out those it lacks would change every result without a word.
#'
#' @param subjects Character vector.
#' @param source Where they come from, for messages.
#' @param known Subjects of the other table.
#' @param other What that table is, for messages.
#' @return `NULL`; a user error names some that are missing.
check_subjects_known <- function(subjects, source, known, other) {
  absent <- setdiff(subjects, known)
  if (length(absent) > 0) {
    user_error(
      other,
      ": ",
      length(absent),
      " of ",
      length(unique(subjects)),
      " subjects of ",
      source,
      " have no row: ",
      listed(absent),
      "; give tables of the same subjects, names written alike"
    )
  }
}

#' Convert a responses table to a matrix
#'
#' @param tbl Data frame with the column `subject` and one column an item.
#' @return Integer matrix, subjects x items, with both names: 1 right, 0 wrong,
#'   `NA` not administered.
responses_matrix <- function(tbl) {
  items <- setdiff(names(tbl), "subject")
  matrix(
    unlist(tbl[items], use.names = FALSE),
    nrow = nrow(tbl),
    dimnames = list(tbl$subject, items)
  )
}

# ---- Files -------------------------------------------------------------------

#' Read a table and check it
#'
#' @param path Parquet file.
#' @param table Name of the table in the contract.
#' @return Data frame that keeps the contract; a user error names what breaks
#'   it, by file, column, row (counted from 1) and remedy.
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
write_table <- function(x, path, table) {
  x <- check_table(x, table, path)
  write_atomically(path, \(temporary) {
    write_columns(as.list(x), temporary, table)
  })
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

#' Write a table without rows
#'
#' @param path Parquet file.
#' @param table Name of the table in the contract.
#' @return `path`, invisibly.
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
