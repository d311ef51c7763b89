# Which full score do the responses to a short form stand for, and how certain?
#
# Model. Two read-outs of each form, over the training subjects, y the full
# score in points:
#   ability  y = f(theta) + e
#   form     y = f1(linear) + f2(theta) + f3(sub_score) + e
# with `linear` the ridge regression of y on the responses (cross-fitted) and
# splines f; the formulas are options. Training subjects are predicted by the
# model of the other folds; their theta, in the workflow, comes from items
# calibrated on the other folds. Intervals are
#   predicted +- q x sigma(predicted),  clipped to [0, 100],
# with sigma a spline through the absolute out-of-fold residuals r, and q the
# ceiling((n + 1) x level)-th smallest |r| / sigma, times the optimism of a
# selection that looked at the same full scores. Test subjects are left out:
# assess_readout predicts them, once, when everything is chosen.
#
# Inputs.  abilities, selection, responses, parameters, full_scores, splits
# Outputs. reconstructions and features of the training subjects; terms and
#          linear_predictors, which predict anybody else; record (JSON)
#
# Run.     Rscript --vanilla R/fit_readout.R --abilities abilities.parquet \
#            --selection selection.parquet --responses responses.parquet \
#            --parameters parameters.parquet --full-scores full_scores.parquet \
#            --splits splits.parquet --benchmark arc \
#            --out reconstructions.parquet --record readout.json

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
  source(file.path(here, "lib/terms.R"))
}

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
    "responses",
    "string",
    required = TRUE,
    "responses table (file)"
  ),
  stage_option(
    "parameters",
    "string",
    required = TRUE,
    "parameters table (file), for cells that were not administered"
  ),
  stage_option(
    "full-scores",
    "string",
    required = TRUE,
    "full_scores table (file), in points"
  ),
  stage_option("splits", "string", required = TRUE, "splits table (file)"),
  stage_option("benchmark", "string", required = TRUE, "name of the benchmark"),
  stage_option(
    "selection-record",
    "string",
    "JSON record of select_items (file): how optimistic its residuals are"
  ),
  stage_option("forms", "list", "forms to read out; all when absent"),
  stage_option(
    "method",
    "string",
    "ability estimator, where the table holds several"
  ),
  stage_option(
    "formula",
    "string",
    "mgcv formula of the read-out `ability`, in theta and se",
    default = "full_score ~ s(theta, bs = 'cr', k = 40)"
  ),
  stage_option(
    "form-formula",
    "string",
    "mgcv formula of the read-out `form`, in linear, theta, se and sub_score",
    default = paste(
      "full_score ~ s(linear, bs = 'cr', k = 20) +",
      "s(theta, bs = 'cr', k = 20) + s(sub_score, bs = 'cr', k = 10)"
    )
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
  stage_option("out-features", "string", "features table (file)"),
  stage_option("out-terms", "string", "terms table (file)"),
  stage_option("out-linear", "string", "linear_predictors table (file)"),
  stage_option("record", "string", required = TRUE, "JSON record (file)"),
  stage_option("threads", "integer", "forms read out at once", default = 1)
)

# One form: its features, both read-outs, and their tables.
read_out_form <- function(form, n_items, inputs, opts) {
  # Some smooths draw knots: every form starts from the same seed.
  set.seed(opts$seed)
  items <- inputs$items[[form]]
  at <- match(items, inputs$parameters$item)
  made <- readout_data(
    inputs$abilities[[form]],
    inputs$scores,
    inputs$splits
  ) |>
    add_form_features(
      inputs$responses[, items, drop = FALSE],
      inputs$parameters[at, ]
    )
  # A form that was drawn at random flatters nobody.
  optimism <- if (startsWith(form, "random")) 1 else inputs$optimism
  fits <- lapply(
    inputs$formulas,
    \(formula) fit_readout(made$data, formula, opts$level, optimism)
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

# A random form only shows what chance reaches: one that no read-out fits is left
# out and counted, where the chosen form's failure ends the stage.
read_out_or_leave_out <- function(form, ...) {
  if (!startsWith(form, "random")) {
    return(read_out_form(form, ...))
  }
  tryCatch(
    {
      made <- read_out_form(form, ...)
      for (about in made$record) {
        if (length(about$unsupported_terms) > 0) {
          stop(
            names(about$unsupported_terms)[1],
            ": ",
            about$unsupported_terms[[1]]
          )
        }
      }
      made
    },
    error = \(e) list(left_out = conditionMessage(e))
  )
}

opts <- start_stage("fit_readout", spec, "Read full scores out.")
if (opts$level <= 0 || opts$level >= 1) {
  user_error("--level ", opts$level, ": must lie between 0 and 1")
}
formulas <- list(
  ability = parse_formula(opts$formula),
  form = parse_formula(
    opts$form_formula,
    c("linear", "theta", "se", "sub_score"),
    "--form-formula"
  )
)
scores <- read_table(opts$full_scores, "full_scores") |>
  benchmark_scores(opts$benchmark)
thetas <- read_table(opts$abilities, "abilities") |>
  one_method(opts$method) |>
  by_form(opts$forms)
chosen <- read_table(opts$selection, "selection")
n_items <- form_lengths(chosen, opts$benchmark, names(thetas))
chosen <- chosen[chosen$benchmark == opts$benchmark, ]
inputs <- list(
  formulas = formulas,
  abilities = thetas,
  items = split(chosen$item, chosen$form),
  responses = read_table(opts$responses, "responses") |> responses_matrix(),
  parameters = read_table(opts$parameters, "parameters"),
  scores = scores,
  splits = read_table(opts$splits, "splits"),
  optimism = read_optimism(opts$selection_record)
)
check_items(inputs, opts)

made <- over_forms(names(thetas), opts$threads, \(form) {
  read_out_or_leave_out(form, n_items[[form]], inputs, opts)
})
left_out <- Filter(Negate(is.null), lapply(made, `[[`, "left_out"))
made <- made[setdiff(names(made), names(left_out))]
if (length(made) == 0) {
  user_error(
    "no form can be read out; ",
    names(left_out)[1],
    ": ",
    left_out[[1]]
  )
}
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
    forms = lapply(made, `[[`, "record"),
    left_out = left_out
  ),
  opts$record
)
write_table(joined("reconstructions"), opts$out, "reconstructions")
