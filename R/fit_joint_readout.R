# Which full scores, and which mean of them, do all short forms together tell?
#
# Model. For each benchmark b, over the training subjects that every benchmark
# has, y_b in points:
#   y_b = smooths of its own linear, theta and sub_score
#         + smooths of linear and theta of every other benchmark + e
# and for the mean of all scores (`overall`)
#   y   = smooth of the mean linear predictor + smooths of every theta + e.
# The formulas are options: `own.x` is feature x of the target, a term with
# `other.x` or `each.x` is repeated for every other, or every, benchmark, and
# `overall.linear` and `overall.sub_score` are means over the benchmarks.
# Cross-fitting and intervals are those of fit_readout.R; test subjects are left
# out as there. The workflow's own joint read-out is the Gaussian process of
# `itemwise fit-joint-process`; this one runs where `joint.smooths` is set.
#
# Inputs.  features of every benchmark, selections, records of the selections
# Outputs. reconstructions (readout = "joint-smooths"); terms; record (JSON).
#          Where benchmarks share too few models: tables without rows, and the
#          record says why (`left_out`).
#
# Run.     Rscript --vanilla R/fit_joint_readout.R \
#            --features arc.features.parquet,gsm8k.features.parquet \
#            --selections arc.parquet,gsm8k.parquet \
#            --out reconstructions.parquet --record joint.json

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("features", selections = "selection", type = "files"),
  table_options(out = "reconstructions", type = "output"),
  table_options(out_terms = "terms", type = "output", required = FALSE),
  section_options("joint", c("formula", "overall_formula")),
  section_options("readout", "level"),
  section_options(NULL, "seed"),
  list(
    stage_option("record", "output", "JSON record", required = TRUE),
    stage_option("selection-records", "files", "JSON records of select_items"),
    stage_option("form", "string", "form to read out", default = "A")
  )
)

opts <- start_stage("fit_joint_readout", spec, "Read full scores out jointly.")
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
targets <- c(benchmarks, "overall")
formulas <- joint_formulas(
  opts$formula,
  opts$overall_formula,
  benchmarks,
  formula_predictors("joint")
)
fits <- lapply(stats::setNames(targets, targets), \(target) {
  fit_joint(data, target, formulas[[target]], opts$level, optimism[[target]])
})
tables <- lapply(targets, \(target) {
  as_reconstructions(
    fits[[target]]$predictions,
    target,
    opts$form,
    "joint-smooths",
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
