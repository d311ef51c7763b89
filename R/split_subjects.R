# Which subjects calibrate the items, and which judge the result?
#
# Model. Subjects that share a group (random, date), or a group or an
# organization (organization), form a unit that is never divided: the unit is a
# connected component of that relation. Units are added to the test set while
# that brings its number of subjects closer to
#   share x (number of subjects),
# at random within quantile groups of the mean full score (random), at random
# (organization), or from the newest (date). With --test-from complete only
# subjects with a full score on every benchmark are drawn, and the share is of
# them. Training units are dealt into folds of equal size.
#
# Inputs.  subjects; full_scores (optional, for strata and completeness)
# Outputs. splits (subject, set, fold); record (JSON)
#
# Run.     Rscript --vanilla R/split_subjects.R --subjects subjects.parquet \
#            --full-scores full_scores.parquet --test 0.1 \
#            --out splits.parquet --record splits.json

# In a session R/lib/load.R has put the library on the search path.
if (!interactive()) {
  script <- grep("^--file=", commandArgs(), value = TRUE)[1]
  # Rscript writes a blank in a path as ~+~.
  here <- dirname(gsub("~+~", " ", sub("^--file=", "", script), fixed = TRUE))
  source(file.path(here, "lib/options.R"))
  log_command()
  source(file.path(here, "lib/io.R"))
  source(file.path(here, "lib/parquet.R"))
  source(file.path(here, "lib/split.R"))
}

spec <- list(
  stage_option("subjects", "list", required = TRUE, "subjects tables (files)"),
  stage_option("full-scores", "list", "full_scores tables (files), for strata"),
  stage_option(
    "method",
    "string",
    "random, organization or date",
    default = "random",
    choices = names(split_columns)
  ),
  stage_option("test", "number", "share of subjects to test on", default = 0.1),
  stage_option(
    "validation",
    "number",
    "share of subjects to validate on",
    default = 0
  ),
  stage_option("folds", "integer", "number of training folds", default = 10),
  stage_option(
    "strata",
    "integer",
    "number of quantile groups of the score",
    default = 5
  ),
  stage_option(
    "test-from",
    "string",
    "draw test subjects from all, or from those with every full score",
    default = "all",
    choices = c("all", "complete")
  ),
  stage_option("seed", "integer", "seed of the random numbers", default = 1),
  stage_option("out", "string", required = TRUE, "splits table (file)"),
  stage_option("record", "string", required = TRUE, "JSON record (file)")
)

opts <- start_stage("split_subjects", spec, "Split subjects into sets.")
united <- opts$subjects |>
  lapply(read_table, "subjects") |>
  unite_subjects(split_columns[[opts$method]])
score <- opts$full_scores |>
  lapply(read_table, "full_scores") |>
  mean_full_score(united$subject)

eligible <- if (opts$test_from == "complete") {
  opts$full_scores |>
    lapply(read_table, "full_scores") |>
    has_every_score(united$subject)
} else {
  rep(TRUE, nrow(united))
}

unit <- subject_units(united, opts$method)
settings <- opts[
  c("method", "test", "validation", "folds", "strata", "seed")
]
made <- do.call(
  split_subjects,
  c(list(united, unit, score, eligible = eligible), settings)
)

write_table(made, opts$out, "splits")
describe_split(made, united, unit) |>
  append(c(settings, opts["test_from"]), after = 0) |>
  write_record(opts$record)
