# Which items tell models apart well enough to be calibrated?
#
# Model. Over the training subjects, with x_ij the answer of subject i to item j
# and p_i the proportion correct of subject i, item j is excluded when
#   sd(x_j) <= min_sd,  mean(x_j) > max_mean,  or
#   |cor(x_j, p)| < min_item_total
# (the rules of metabench; a negative correlation alone does not exclude). With
# --discrimination discounted the correlation is multiplied by 1 - mean(x_j),
# the statistic that metabench in fact computes.
#
# Inputs.  responses, items, splits
# Outputs. items (with n, mean, sd, item_total_correlation, keep, reason);
#          record (JSON)
#
# Run.     Rscript --vanilla R/screen_items.R --responses responses.parquet \
#            --items items.parquet --splits splits.parquet \
#            --out screened.parquet --record screened.json

# In a session R/lib/load.R has put the library on the search path.
if (!interactive()) {
  script <- grep("^--file=", commandArgs(), value = TRUE)[1]
  # Rscript writes a blank in a path as ~+~.
  here <- dirname(gsub("~+~", " ", sub("^--file=", "", script), fixed = TRUE))
  source(file.path(here, "lib/options.R"))
  log_command()
  source(file.path(here, "lib/io.R"))
  source(file.path(here, "lib/parquet.R"))
  source(file.path(here, "lib/screen.R"))
}

spec <- list(
  stage_option(
    "responses",
    "string",
    required = TRUE,
    "responses table (file)"
  ),
  stage_option("items", "string", required = TRUE, "items table (file)"),
  stage_option("splits", "string", required = TRUE, "splits table (file)"),
  stage_option(
    "min-sd",
    "number",
    default = 0.01,
    "exclude items with at most this standard deviation (of 0/1 answers)"
  ),
  stage_option(
    "max-mean",
    "number",
    default = 0.95,
    "exclude items that more than this proportion gets right (0 to 1)"
  ),
  stage_option(
    "min-item-total",
    "number",
    default = 0.05,
    "exclude items with a smaller absolute item-total correlation (0 to 1)"
  ),
  stage_option(
    "discrimination",
    "string",
    "correlation, or discounted: times the share of wrong answers",
    default = "correlation",
    choices = c("correlation", "discounted")
  ),
  stage_option("out", "string", required = TRUE, "items table (file)"),
  stage_option("record", "string", required = TRUE, "JSON record (file)")
)

opts <- start_stage("screen_items", spec, "Exclude uninformative items.")
pool <- read_table(opts$items, "items")
answers <- read_table(opts$responses, "responses") |>
  responses_matrix() |>
  training_responses(read_table(opts$splits, "splits"))

thresholds <- opts[
  c("min_sd", "max_mean", "min_item_total", "discrimination")
]
screened <- do.call(screen_items, c(list(pool, answers), thresholds))

write_table(screened, opts$out, "items")
describe_screen(screened, nrow(answers)) |>
  append(thresholds, after = 0) |>
  write_record(opts$record)
