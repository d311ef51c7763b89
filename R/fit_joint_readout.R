# Which full scores, and which mean of them, do all short forms together tell?
#
# Model. For each benchmark b, over the training subjects that every benchmark
# has, y_b in points:
#   y_b = smooths of its own linear, theta and sub_score
#         + smooths of linear and theta of every other benchmark + e
# and for the mean of all scores (`grand`)
#   y   = smooth of the mean linear predictor + smooths of every theta + e.
# The formulas are options: `own.x` is feature x of the target, a term with
# `other.x` or `each.x` is repeated for every other, or every, benchmark, and
# `grand.linear` and `grand.sub_score` are means over the benchmarks.
# Cross-fitting and intervals are those of fit_readout.R; test subjects are left
# out as there.
#
# Inputs.  features of every benchmark, selections, records of the selections
# Outputs. reconstructions (readout = "joint"); terms; record (JSON). Where
#          benchmarks share too few models: tables without rows, and the
#          record says why (`left_out`).
#
# Run.     Rscript --vanilla R/fit_joint_readout.R \
#            --features arc.features.parquet,gsm8k.features.parquet \
#            --selections arc.parquet,gsm8k.parquet \
#            --out reconstructions.parquet --record joint.json

# In a session R/lib/load.R has put the library on the search path.
if (!interactive()) {
  script <- grep("^--file=", commandArgs(), value = TRUE)[1]
  # Rscript writes a blank in a path as ~+~.
  here <- dirname(gsub("~+~", " ", sub("^--file=", "", script), fixed = TRUE))
  source(file.path(here, "lib/options.R"))
  log_command()
  source(file.path(here, "lib/io.R"))
  source(file.path(here, "lib/parquet.R"))
  source(file.path(here, "lib/linear.R"))
  source(file.path(here, "lib/readout_data.R"))
  source(file.path(here, "lib/smooths.R"))
  source(file.path(here, "lib/readout.R"))
  source(file.path(here, "lib/joint.R"))
  source(file.path(here, "lib/terms.R"))
}

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
    "formula",
    "string",
    "mgcv formula of a benchmark's full score, in own.x and other.x",
    default = paste(
      "full_score ~ s(own.linear, bs = 'cr', k = 10) +",
      "s(own.theta, bs = 'cr', k = 10) + s(own.sub_score, bs = 'cr', k = 10) +",
      "s(other.linear, bs = 'cr', k = 10) + s(other.theta, bs = 'cr', k = 10)"
    )
  ),
  stage_option(
    "grand-formula",
    "string",
    "mgcv formula of the mean of all, in grand.linear and each.x",
    default = paste(
      "full_score ~ s(grand.linear, bs = 'cr', k = 10) +",
      "s(each.theta, bs = 'cr', k = 10)"
    )
  ),
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
stacked <- do.call(rbind, lapply(opts$features, read_table, "features"))
chosen <- do.call(rbind, lapply(opts$selections, read_table, "selection"))
benchmarks <- unique(stacked$benchmark[stacked$form == opts$form])
obstacle <- joint_obstacle(stacked, opts$form)
if (!is.null(obstacle)) {
  none <- stats::setNames(list(), character())
  leave_stage_out(
    obstacle,
    c(reconstructions = opts$out, terms = opts$out_terms),
    list(
      benchmarks = benchmarks,
      form = opts$form,
      level = opts$level,
      optimism = none,
      targets = none
    ),
    opts$record
  )
}
data <- joint_data(stacked, opts$form)
n_items <- vapply(
  benchmarks,
  \(benchmark) form_lengths(chosen, benchmark, opts$form)[[1]],
  0L
)
optimism <- joint_optimism(opts$selection_records, benchmarks)

set.seed(opts$seed)
targets <- c(benchmarks, "grand")
formulas <- joint_formulas(opts$formula, opts$grand_formula, benchmarks)
fits <- lapply(stats::setNames(targets, targets), \(target) {
  fit_joint(data, target, formulas[[target]], opts$level, optimism[[target]])
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
tabulated <- lapply(stats::setNames(targets, targets), \(target) {
  joint_terms(fits[[target]], target, opts$form, benchmarks)
})
if (!is.null(opts$out_terms)) {
  write_table(do.call(rbind, unname(tabulated)), opts$out_terms, "terms")
}
write_record(
  list(
    benchmarks = benchmarks,
    form = opts$form,
    level = opts$level,
    optimism = as.list(optimism),
    targets = Map(
      \(fit, table) {
        c(
          describe_readout(fit),
          list(unsupported_terms = as.list(attr(table, "unsupported")))
        )
      },
      fits,
      tabulated
    )
  ),
  opts$record
)
write_table(do.call(rbind, tables), opts$out, "reconstructions")
