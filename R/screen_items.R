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
# Inputs.  training, items
# Outputs. items (with n, mean, sd, item_total_correlation, keep, reason);
#          training, with the kept items alone; record (JSON)
#
# Run.     Rscript --vanilla R/screen_items.R --training training.parquet \
#            --items items.parquet --out screened.parquet \
#            --out-training kept.parquet --record screened.json

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("training", "items"),
  table_options(out = "items", out_training = "training", type = "output"),
  section_options("screening"),
  list(stage_option("record", "output", "JSON record", required = TRUE))
)

opts <- start_stage("screen_items", spec, "Exclude uninformative items.")
pool <- read_table(opts$items, "items")
trained <- read_training(opts$training)

limits <- opts[names(screening_rules())]
screened <- screen_items(pool, trained$responses, limits, opts$discrimination)

write_table(screened, opts$out, "items")
trained |>
  keep_items(screened$item[screened$keep == 1]) |>
  write_training(opts$out_training)
screened |>
  describe_screen(nrow(trained$responses), limits, opts$discrimination) |>
  write_record(opts$record)
