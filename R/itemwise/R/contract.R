# The contract that tables keep.

#' Find the clone
#'
#' @return The folder that holds `R/` and `python/`: the option
#'   `itemwise.root`, which `load.R` sets, else the environment variable
#'   `ITEMWISE_ROOT`, else the nearest above the working directory. A user
#'   error where there is none.
#' @noRd
project_root <- function() {
  given <- getOption("itemwise.root", Sys.getenv("ITEMWISE_ROOT"))
  if (nzchar(given)) {
    return(given)
  }
  folder <- full_path(".")
  while (!file.exists(file.path(folder, "config/schema.yaml"))) {
    if (dirname(folder) == folder) {
      user_error(
        "no clone of itemwise here, which holds the contract and the schema; ",
        "work in one, or set ITEMWISE_ROOT to its folder"
      )
    }
    folder <- dirname(folder)
  }
  folder
}

# The project's own files as they were read: a stage asks for the contract at
# every table, and for the schema at every section of its options.
files_read <- new.env()

#' Read a file once
#'
#' @param path Path below the root of the project.
#' @param read Function of the full path.
#' @return Value of `read`, of the first call.
#' @noRd
read_once <- function(path, read) {
  path <- file.path(project_root(), path)
  if (is.null(files_read[[path]])) {
    files_read[[path]] <- read(path)
  }
  files_read[[path]]
}

#' Read a number that stands in both languages
#'
#' @param name Name in `python/itemwise/tables/limits.csv`.
#' @return Integer.
#' @noRd
limit_of <- function(name) {
  limits <- read_once("python/itemwise/tables/limits.csv", utils::read.csv)
  stopifnot("no such limit" = name %in% limits$name)
  limits$limit[limits$name == name]
}

#' Read the rules of a table from the contract
#'
#' @param table Name of the table.
#' @return Named list, one element a column: type, presence, nullable, minimum,
#'   maximum and choices. The name `*` stands for every other column.
#' @noRd
table_rules <- function(table) {
  contract <- read_once("python/itemwise/tables/contract.csv", \(path) {
    utils::read.csv(path, colClasses = "character")
  })
  rules <- contract[contract$table == table, ]
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
#' @noRd
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
#' @noRd
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
#' @noRd
check_columns <- function(columns, rules, table, source) {
  quoted <- \(names) format_list(sprintf("'%s'", names))
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
#' @noRd
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
#' @noRd
is_plain <- function(values) {
  !is.object(values) && (is.numeric(values) || is.logical(values))
}

#' Tell which values keep a rule
#'
#' @param values Vector of the rule's type.
#' @param rule Element of [table_rules()].
#' @return Logical vector; anything where the value is missing.
#' @noRd
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
#' @noRd
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
#' @noRd
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
