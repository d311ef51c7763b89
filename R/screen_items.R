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

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("responses", "items", "splits"),
  table_options(out = "items", type = "output"),
  section_options("screening"),
  list(stage_option("record", "output", "JSON record", required = TRUE))
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
