# Which full score does an ability stand for, and how certain is it?
#
# Model. For each form, y_i = f(theta_i) + e_i over the training subjects, with
# y the full score in points and f a spline. Training subjects are predicted by
# the model of the other folds. Intervals are
#   predicted +- q x sigma(predicted),  clipped to [0, 100],
# with sigma a spline through the absolute out-of-fold residuals r, and q the
# ceiling((n + 1) x level)-th smallest |r| / sigma.
#
# Inputs.  abilities, selection, full_scores, splits
# Outputs. reconstructions (readout = "ability"); record (JSON)
#
# Run.     Rscript --vanilla R/fit_readout.R --abilities abilities.parquet \
#            --selection selection.parquet --full-scores full_scores.parquet \
#            --splits splits.parquet --benchmark arc \
#            --out reconstructions.parquet --record readout.json

here <- dirname(sub(
  "^--file=",
  "",
  grep("^--file=", commandArgs(), value = TRUE)[1]
))
source(file.path(here, "lib/options.R"))
source(file.path(here, "lib/io.R"))
source(file.path(here, "lib/parquet.R"))
source(file.path(here, "lib/readout.R"))

spec <- list(
  stage_option(
    "abilities",
    "string",
    required = TRUE,
    "abilities table (file)"
  ),
  stage_option(
    "selection",
    "string",
    required = TRUE,
    "selection table (file), for the number of items"
  ),
  stage_option(
    "full-scores",
    "string",
    required = TRUE,
    "full_scores table (file), in points"
  ),
  stage_option("splits", "string", required = TRUE, "splits table (file)"),
  stage_option("benchmark", "string", required = TRUE, "name of the benchmark"),
  stage_option("forms", "list", "forms to read out; all when absent"),
  stage_option(
    "method",
    "string",
    "ability estimator, where the table holds several"
  ),
  stage_option(
    "formula",
    "string",
    "mgcv formula in theta and se",
    default = "full_score ~ s(theta, bs = 'cr', k = 40)"
  ),
  stage_option(
    "level",
    "number",
    default = 0.9,
    "nominal coverage of the intervals (0 to 1)"
  ),
  stage_option(
    "seed",
    "integer",
    default = 1,
    "seed of the random numbers (some smooths draw knots)"
  ),
  stage_option(
    "out",
    "string",
    required = TRUE,
    "reconstructions table (file)"
  ),
  stage_option("record", "string", required = TRUE, "JSON record (file)")
)

run_stage("fit_readout", \() {
  opts <- stage_options(spec, commandArgs(TRUE), "Read full scores out.")
  if (opts$level <= 0 || opts$level >= 1) {
    user_error("--level ", opts$level, ": must lie between 0 and 1")
  }
  formula <- parse_formula(opts$formula)
  scores <- read_table(opts$full_scores, "full_scores") |>
    benchmark_scores(opts$benchmark)
  splits <- read_table(opts$splits, "splits")
  abilities <- read_table(opts$abilities, "abilities") |>
    one_method(opts$method) |>
    by_form(opts$forms)
  n_items <- read_table(opts$selection, "selection") |>
    form_lengths(opts$benchmark, names(abilities))

  set.seed(opts$seed)
  fits <- lapply(abilities, \(form) {
    readout_data(form, scores, splits) |> fit_readout(formula, opts$level)
  })
  tables <- Map(
    \(fit, form) {
      as_reconstructions(
        fit$predictions,
        opts$benchmark,
        form,
        n_items[[form]],
        opts$level
      )
    },
    fits,
    names(fits)
  )

  write_table(do.call(rbind, unname(tables)), opts$out, "reconstructions")
  write_record(
    list(
      benchmark = opts$benchmark,
      level = opts$level,
      seed = opts$seed,
      forms = lapply(fits, describe_readout)
    ),
    opts$record
  )
})
