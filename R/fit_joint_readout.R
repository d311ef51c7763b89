# Which full scores, and which mean of them, do all short forms together tell?
#
# Model. For each benchmark b, over the training subjects that every benchmark
# has, y_b in points:
#   y_b is a sum of smooths of b.linear, b.theta and b.sub_score
#       and of o.linear and o.theta of every other benchmark o, plus e
# and for the mean of all scores (`grand`)
#   y is a sum of smooths of the mean linear predictor and of every b.theta.
# With --terms means, as metabench, y_b from b.linear, b.sub_score, their means
# over all benchmarks and every theta; y from the means and every theta.
# Cross-fitting and intervals are those of fit_readout.R.
#
# Inputs.  features of every benchmark, selections, records of the selections
# Outputs. reconstructions (readout = "joint"); terms; record (JSON)
#
# Run.     Rscript --vanilla R/fit_joint_readout.R \
#            --features arc.features.parquet,gsm8k.features.parquet \
#            --selections arc.parquet,gsm8k.parquet \
#            --out reconstructions.parquet --record joint.json

here <- if (interactive()) {
  file.path(getOption("itemwise.root", "."), "R")
} else {
  dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1]))
}
source(file.path(here, "lib/options.R"))
source(file.path(here, "lib/io.R"))
source(file.path(here, "lib/parquet.R"))
source(file.path(here, "lib/linear.R"))
source(file.path(here, "lib/readout_data.R"))
source(file.path(here, "lib/readout.R"))
source(file.path(here, "lib/joint.R"))
source(file.path(here, "lib/terms.R"))

spec <- list(
  stage_option("features", "list", required = TRUE, "features tables (files)"),
  stage_option(
    "selections",
    "list",
    required = TRUE,
    "selection tables (files), for the numbers of items"
  ),
  stage_option(
    "selection-records",
    "list",
    "JSON records of select_items (files): how optimistic residuals are"
  ),
  stage_option("form", "string", default = "A", "form to read out"),
  stage_option(
    "terms",
    "string",
    "predictors: those of the others each, or their means (metabench)",
    default = "others",
    choices = c("others", "means")
  ),
  stage_option(
    "basis",
    "string",
    "kind of every smooth, as mgcv calls it; ad is metabench's",
    default = "cr",
    choices = c("cr", "ps", "ad")
  ),
  stage_option("k", "integer", default = 10, "basis size of every smooth"),
  stage_option(
    "level",
    "number",
    default = 0.9,
    "nominal coverage of the intervals (0 to 1)"
  ),
  stage_option("seed", "integer", default = 1, "seed of the random numbers"),
  stage_option("out", "string", required = TRUE, "reconstructions (file)"),
  stage_option("out-terms", "string", "terms table (file)"),
  stage_option("record", "string", required = TRUE, "JSON record (file)")
)

opts <- start_stage("fit_joint_readout", spec, "Read full scores out jointly.")
if (opts$level <= 0 || opts$level >= 1) {
  user_error("--level ", opts$level, ": must lie between 0 and 1")
}
features <- do.call(rbind, lapply(opts$features, read_table, "features"))
selection <- do.call(rbind, lapply(opts$selections, read_table, "selection"))
data <- joint_data(features, opts$form)
benchmarks <- unique(features$benchmark[features$form == opts$form])
n_items <- vapply(
  benchmarks,
  \(benchmark) form_lengths(selection, benchmark, opts$form)[[1]],
  0L
)
optimism <- joint_optimism(opts$selection_records, benchmarks)

set.seed(opts$seed)
targets <- c(benchmarks, "grand")
fits <- lapply(stats::setNames(targets, targets), \(target) {
  widen <- optimism[[target]]
  fit_joint(
    data,
    target,
    benchmarks,
    opts$k,
    opts$level,
    widen,
    opts$terms,
    opts$basis
  )
})
tables <- lapply(targets, \(target) {
  as_reconstructions(
    fits[[target]]$predictions,
    target,
    opts$form,
    "joint",
    sum(n_items),
    opts$level
  )
})
terms <- lapply(targets, \(target) {
  joint_terms(fits[[target]], target, opts$form, benchmarks)
})
if (!is.null(opts$out_terms)) {
  write_table(do.call(rbind, terms), opts$out_terms, "terms")
}
write_record(
  list(
    benchmarks = benchmarks,
    form = opts$form,
    level = opts$level,
    terms = opts$terms,
    basis = opts$basis,
    k = opts$k,
    optimism = as.list(optimism),
    targets = lapply(fits, describe_readout)
  ),
  opts$record
)
write_table(do.call(rbind, tables), opts$out, "reconstructions")
