# How many items does an adaptive test need? The reference engine, catR.
#
# Model. For each row of responses, from theta = 0: ask the item that the
# criterion likes best, estimate theta from all answers (EAP, MAP or ML with
# the N(0, 1) prior on [-limit, limit]), until a stopping rule holds. The
# native engine (`itemwise simulate-cat`) runs the same rules on all rows at
# once.
#
# Inputs.  responses, parameters (the bank; its order breaks ties)
# Outputs. cat_traces
#
# Run.     Rscript --vanilla R/simulate_cat.R --responses responses.parquet \
#            --parameters parameters.parquet --benchmark arc --name adaptive \
#            --criterion MFI --estimator EAP --max-length 30 \
#            --out traces.parquet

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("responses", "parameters"),
  table_options(out = "cat_traces", type = "output"),
  section_options(NULL, "seed"),
  # One rule, whose settings the configuration writes as one text (`cat.rules`).
  list(
    stage_option("benchmark", "string", "its name", required = TRUE),
    stage_option("name", "string", "name of the rule", default = "adaptive"),
    stage_option(
      "criterion",
      "string",
      "which item comes next",
      default = "MFI",
      choices = names(cat_criteria)
    ),
    stage_option(
      "estimator",
      "string",
      "estimator of theta",
      default = "EAP",
      choices = names(cat_estimators)
    ),
    stage_option("start", "integer", "items asked at --theta0", default = 1L),
    stage_option(
      "theta0",
      "number",
      "ability at which tests start",
      default = 0
    ),
    stage_option("spread", "number", "start with items from -spread to spread"),
    stage_option("randomesque", "integer", "draw among so many best items", 1L),
    stage_option("min-length", "integer", "fewest items", default = 0L),
    stage_option("max-length", "integer", "most items", default = 40L),
    stage_option("se", "number", "stop at this standard error of theta"),
    stage_option("cut", "number", "stop when theta is sure to differ from it"),
    stage_option(
      "z",
      "number",
      "standard errors for --cut",
      default = 1.959964
    ),
    stage_option("information", "number", "stop when no item has as much"),
    stage_option("nodes", "integer", "nodes of the posterior", default = 241L),
    stage_option("limit", "number", "theta lies within +- this", default = 6),
    stage_option("cat-test", "string", "more of catR's test list: \"AP = 0.5\"")
  )
)

opts <- start_stage("simulate_cat", spec, "Simulate adaptive tests.")
if (!requireNamespace("catR", quietly = TRUE)) {
  user_error(
    "R package catR is not installed; install it from CRAN, or use ",
    "itemwise simulate-cat --engine native"
  )
}
bank <- read_table(opts$parameters, "parameters")
answers <- read_table(opts$responses, "responses") |> responses_matrix()
absent <- setdiff(bank$item, colnames(answers))
if (length(absent) > 0) {
  user_error("--responses: lacks the items ", format_list(absent))
}
answers <- answers[, bank$item, drop = FALSE]
smallest <- max(opts$min_length, opts$start)
if (nrow(bank) < smallest) {
  user_error(
    "--parameters: ",
    nrow(bank),
    " items, the rule asks at least ",
    smallest
  )
}
simulate_cats(
  answers,
  bank,
  cat_rule(opts),
  opts$benchmark,
  opts$name,
  opts$min_length,
  opts$seed
) |>
  write_table(opts$out, "cat_traces")
