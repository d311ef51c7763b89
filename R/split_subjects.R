# Which subjects calibrate the items, and which judge the result?
#
# Model. Subjects that share a group (random, date), or a group or an
# organization (organization), form a cluster that is never divided: the cluster
# is a connected component of that relation. Clusters are added to the test set
# while that brings its number of subjects closer to
#   share x (number of subjects),
# at random within quantile groups of the mean full score (random), at random
# (organization), or from the newest (date). With --test-from complete only
# subjects with a full score on every benchmark are drawn, and the share is of
# them. Training clusters are dealt into folds of equal size.
#
# Inputs.  subjects; full_scores (optional, for strata and completeness)
# Outputs. splits (subject, set, fold); record (JSON)
#
# Run.     Rscript --vanilla R/split_subjects.R --subjects subjects.parquet \
#            --full-scores full_scores.parquet --test 0.1 \
#            --out splits.parquet --record splits.json

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("subjects", type = "files"),
  table_options("full_scores", type = "files", required = FALSE),
  table_options(out = "splits", type = "output"),
  section_options("split"),
  section_options(NULL, "seed"),
  list(stage_option("record", "output", "JSON record", required = TRUE))
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

cluster <- subject_clusters(united, opts$method)
settings <- opts[
  c("method", "test", "validation", "folds", "strata", "seed")
]
made <- do.call(
  split_subjects,
  c(list(united, cluster, score, eligible = eligible), settings)
)

write_table(made, opts$out, "splits")
describe_split(made, united, cluster) |>
  append(c(settings, opts["test_from"]), after = 0) |>
  write_record(opts$record)
