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

# In a session R/lib/load.R has put the library on the search path.
if (!interactive()) {
  script <- grep("^--file=", commandArgs(), value = TRUE)[1]
  # Rscript writes a blank in a path as ~+~.
  here <- dirname(gsub("~+~", " ", sub("^--file=", "", script), fixed = TRUE))
  source(file.path(here, "lib/options.R"))
  log_command()
  source(file.path(here, "lib/io.R"))
  source(file.path(here, "lib/parquet.R"))
  source(file.path(here, "lib/cat.R"))
}

spec <- list(
  stage_option(
    "responses",
    "string",
    required = TRUE,
    "responses table (file)"
  ),
  stage_option(
    "parameters",
    "string",
    required = TRUE,
    "parameters table (file), the bank"
  ),
  stage_option("benchmark", "string", required = TRUE, "name of the benchmark"),
  stage_option("name", "string", default = "adaptive", "name of the rule"),
  stage_option(
    "criterion",
    "string",
    default = "MFI",
    choices = names(cat_criteria),
    "which item comes next"
  ),
  stage_option(
    "estimator",
    "string",
    default = "EAP",
    choices = names(cat_estimators),
    "estimator of theta"
  ),
  stage_option("start", "integer", default = 1, "items asked at --theta0"),
  stage_option("theta0", "number", "ability at which tests start (0)"),
  stage_option(
    "spread",
    "number",
    "choose the --start first items from -spread to spread instead"
  ),
  stage_option(
    "randomesque",
    "integer",
    default = 1,
    "draw among so many best items"
  ),
  stage_option(
    "min-length",
    "integer",
    default = 0,
    "smallest number of items"
  ),
  stage_option(
    "max-length",
    "integer",
    default = 40,
    "largest number of items"
  ),
  stage_option("se", "number", "stop at this standard error of theta"),
  stage_option("cut", "number", "stop when theta is sure to differ from this"),
  stage_option("z", "number", default = 1.959964, "standard errors for --cut"),
  stage_option(
    "information",
    "number",
    "stop when no item left has this much information"
  ),
  stage_option("nodes", "integer", default = 241, "nodes of the posterior"),
  stage_option("limit", "number", default = 6, "theta lies within +- this"),
  stage_option(
    "cat-test",
    "string",
    "further arguments of catR's test list, e.g. \"AP = 0.5\""
  ),
  stage_option("seed", "integer", default = 1, "seed of random choices"),
  stage_option("out", "string", required = TRUE, "cat_traces table (file)")
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
  user_error("--responses: lacks the items ", listed(absent))
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
