# The options that are configuration keys: config/schema.yaml describes them.

#' Read the schema of the configuration
#'
#' @return Nested list, as the YAML file has it.
#' @noRd
config_schema <- function() {
  read_once("config/schema.yaml", yaml::read_yaml)
}

#' Make options of the keys of the configuration
#'
#' The schema is the only home of a key's type, default, choices, bounds and
#' meaning. The key `min_sd` is the option `--min-sd`.
#'
#' @param section Name of a section, such as `"readout"`; `NULL` for keys that
#'   are in none, such as `seed`.
#' @param keys Which keys; by default all of the section.
#' @param except Keys to leave out.
#' @return List of [stage_option()]s in the order of the schema, or of `keys`.
#' @examples
#' \dontrun{
#' section_options("screening")
#' section_options("readout", "level")
#' section_options(NULL, "seed")
#' }
#' @export
section_options <- function(section, keys = NULL, except = NULL) {
  rules <- config_schema()$properties
  if (!is.null(section)) {
    rules <- rules[[section]]$properties
  }
  keys <- setdiff(if (is.null(keys)) names(rules) else keys, except)
  stopifnot("no such key in the schema" = all(keys %in% names(rules)))
  lapply(keys, \(key) key_option(key, rules[[key]]))
}

#' Name the predictors that formulas may use
#'
#' @param section Name of a section with formulas.
#' @return Named list: a character vector for each key that is a formula.
#' @noRd
formula_predictors <- function(section) {
  rules <- config_schema()$properties[[section]]$properties
  Filter(Negate(is.null), lapply(rules, `[[`, "predictors"))
}

#' Make an option of a key
#'
#' @param key Name of the key.
#' @param rule What the schema says of it.
#' @return A [stage_option()]. Where a key may be null, the option is left out
#'   for null.
#' @noRd
key_option <- function(key, rule) {
  types <- c(
    string = "string",
    integer = "integer",
    number = "number",
    boolean = "flag",
    array = "list"
  )
  type <- if (is.null(rule$type)) "string" else setdiff(rule$type, "null")
  choices <- unlist(rule$enum) # without null
  bounds <- grep("m(in|ax)imum$", names(rule), ignore.case = TRUE)
  stage_option(
    gsub("_", "-", key),
    types[[type]],
    trimws(rule$description),
    default = unlist(rule$default),
    choices = choices,
    bounds = rule[bounds]
  )
}
