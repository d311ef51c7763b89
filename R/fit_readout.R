# Which full score do the responses to a short form stand for, and how certain?
#
# Model. Two read-outs of each chosen form, over the training subjects, y the
# full score in points (fit_process fits a third, and reads random forms out):
#   ability  y = f(theta) + e
#   form     y = f1(linear) + f2(theta) + f3(sub_score) + e
# with `linear` the ridge regression of y on the responses (cross-fitted) and
# splines f; the formulas are options. Training subjects are predicted by the
# model of the other folds; their theta, in the workflow, comes from items
# calibrated on the other folds. Intervals are
#   predicted +- q x sigma(predicted),  clipped to [0, 100],
# with sigma a spline through the absolute out-of-fold residuals r, and q the
# ceiling((n + 1) x level)-th smallest |r| / sigma, times the optimism of a
# selection that looked at the same full scores. Test subjects are no part of
# this: assess_readout predicts them, once, when everything is chosen.
#
# Inputs.  abilities, selection, training, parameters
# Outputs. reconstructions and features of the training subjects; terms and
#          linear_predictors, which predict anybody else; record (JSON)
#
# Run.     Rscript --vanilla R/fit_readout.R --abilities abilities.parquet \
#            --selection selection.parquet --training training.parquet \
#            --parameters parameters.parquet --benchmark arc \
#            --out reconstructions.parquet --record readout.json

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("abilities", "selection", "training", "parameters"),
  table_options(out = "reconstructions", type = "output"),
  table_options(
    out_features = "features",
    out_terms = "terms",
    out_linear = "linear_predictors",
    type = "output",
    required = FALSE
  ),
  section_options("readout"),
  section_options(NULL, "seed"),
  list(
    stage_option("record", "output", "JSON record", required = TRUE),
    stage_option("benchmark", "string", "its name", required = TRUE),
    stage_option("selection-record", "file", "JSON record of select_items"),
    stage_option(
      "forms",
      "list",
      "forms to read out; all but random ones when absent"
    ),
    stage_option("method", "string", "ability estimator, of several"),
    stage_option("threads", "integer", "forms read out at once", default = 1L)
  )
)

# One form: its features, both read-outs, and their tables.
read_out_form <- function(form, n_items, inputs, opts) {
  # Some smooths draw knots: every form starts from the same seed.
  set.seed(opts$seed)
  items <- inputs$items[[form]]
  at <- match(items, inputs$parameters$item)
  made <- readout_data(inputs$abilities[[form]], inputs$training) |>
    add_form_features(
      inputs$training$responses[, items, drop = FALSE],
      inputs$parameters[at, ]
    )
  fits <- lapply(
    inputs$formulas,
    \(formula) {
      fit_readout(made$data, formula, opts$level, inputs$optimism)
    }
  )
  tables <- Map(
    \(fit, readout) {
      as_reconstructions(
        fit$predictions,
        opts$benchmark,
        form,
        readout,
        n_items,
        opts$level
      )
    },
    fits,
    names(fits)
  )
  terms <- Map(
    \(fit, readout) as_terms(fit, opts$benchmark, form, readout),
    fits,
    names(fits)
  )
  list(
    reconstructions = do.call(rbind, unname(tables)),
    features = as_features(made$data, opts$benchmark, form),
    terms = do.call(rbind, unname(terms)),
    linear = as_linear(made$fit, opts$benchmark, form),
    record = Map(
      \(fit, table) {
        c(
          describe_readout(fit),
          list(unsupported_terms = as.list(attr(table, "unsupported")))
        )
      },
      fits,
      terms
    )
  )
}

opts <- start_stage("fit_readout", spec, "Read full scores out.")
known <- formula_predictors("readout")
formulas <- list(
  ability = parse_formula(opts$formula, known$formula),
  form = parse_formula(opts$form_formula, known$form_formula, "--form-formula")
)
thetas <- read_table(opts$abilities, "abilities") |>
  one_method(opts$method) |>
  by_form(opts$forms)
if (is.null(opts$forms)) {
  thetas <- thetas[!startsWith(names(thetas), "random")]
}
chosen <- read_table(opts$selection, "selection")
n_items <- form_lengths(chosen, opts$benchmark, names(thetas))
chosen <- chosen[chosen$benchmark == opts$benchmark, ]
inputs <- list(
  formulas = formulas,
  abilities = thetas,
  items = split(chosen$item, chosen$form),
  training = read_training(opts$training),
  parameters = read_table(opts$parameters, "parameters"),
  optimism = read_optimism(opts$selection_record)
)
check_items(inputs, opts)

made <- over_forms(names(thetas), opts$threads, \(form) {
  read_out_form(form, n_items[[form]], inputs, opts)
})
joined <- \(part) do.call(rbind, unname(lapply(made, `[[`, part)))
if (!is.null(opts$out_features)) {
  write_table(joined("features"), opts$out_features, "features")
}
if (!is.null(opts$out_terms)) {
  write_table(joined("terms"), opts$out_terms, "terms")
}
if (!is.null(opts$out_linear)) {
  write_table(joined("linear"), opts$out_linear, "linear_predictors")
}
write_record(
  list(
    benchmark = opts$benchmark,
    level = opts$level,
    seed = opts$seed,
    optimism = inputs$optimism,
    forms = lapply(made, `[[`, "record")
  ),
  opts$record
)
write_table(joined("reconstructions"), opts$out, "reconstructions")
