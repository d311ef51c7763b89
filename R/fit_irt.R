# How hard is each item, and how well does it tell models apart? (engine: mirt)
#
# Model. With theta ~ N(0, 1) the ability of a subject,
#   P(x = 1 | theta) = g + (u - g) / (1 + exp(-(a theta + d))),
# fitted by marginal maximum likelihood on equally spaced points on [-6, 6]:
# 1PL one a for all items, g = 0, u = 1;  2PL g = 0, u = 1;  3PL u = 1.
# Weak priors: normal on a, d, logit g and logit u; their means and deviations
# are read from the file weak_prior.csv of the native engine. --prior-of takes
# those that a native fit has estimated, as independent normal ones.
# A fit counts as converged when mirt says so and no derivative of the log
# posterior exceeds 1 nat; one that does not is written on request only.
# Several dimensions: exploratory 2PL; a is then sqrt(a1^2 + a2^2 + ...).
#
# Inputs.  responses; a training table is one
# Outputs. parameters; loadings (CSV, several dimensions); record (JSON)
#
# Run.     Rscript --vanilla R/fit_irt.R --responses responses.parquet \
#            --model 2PL --out parameters.parquet --record fit.json
# Flags.   --no-standard-errors   leave se_a, se_d, se_g and se_u out
#          --allow-unconverged    write a fit that has not converged

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("responses"),
  table_options(out = "parameters", type = "output"),
  # The workflow hands the section over as it is; `engine` and `reference` have
  # done their work when this stage runs.
  section_options("irt", except = "quadrature"),
  section_options(NULL, "seed"),
  list(
    stage_option("record", "output", "JSON record"),
    stage_option(
      "prior-of",
      "file",
      "record of a native fit whose prior is taken, as far as mirt has it"
    ),
    stage_option(
      "loadings",
      "output",
      "CSV of rotated loadings, with dimensions"
    ),
    stage_option(
      "quadrature",
      "integer",
      "points on [-6, 6] a dimension; 61, or fewer in several dimensions"
    ),
    stage_option(
      "constant-items",
      "string",
      "what becomes of items that all subjects answered alike",
      default = "drop",
      choices = c("drop", "refuse")
    ),
    stage_option(
      "method",
      "string",
      "EM, or MHRM for many dimensions",
      default = "EM",
      choices = c("EM", "MHRM")
    ),
    stage_option("dimensions", "integer", "number of abilities", default = 1L),
    stage_option("max-iterations", "integer", "most cycles", default = 1000L),
    stage_option("tolerance", "number", "largest change in the last cycle"),
    stage_option("technical", "list", "options of mirt, as NCYCLES=2000"),
    stage_option("standard-errors", "flag", "standard errors", default = TRUE),
    stage_option("threads", "integer", "threads of the E step", default = 1L)
  )
)

opts <- start_stage("fit_irt", spec, "Calibrate items by mirt.")
check_fit_options(opts)
technical <- parse_technical(opts$technical)
prior <- if (is.null(opts$prior_of)) {
  opts$prior
} else {
  prior_of_record(read_record(opts$prior_of))
}
if (identical(prior, "estimated")) {
  user_error(
    "--prior estimated: mirt cannot estimate a prior; take weak or none, or ",
    "the prior of a native fit by --prior-of"
  )
}
check_mirt()
use_threads(opts$threads)
data <- read_responses(opts$responses) |>
  drop_constant_items(opts$constant_items)
if (length(data$dropped) > 0) {
  message(
    "dropped ",
    length(data$dropped),
    " constant items: ",
    format_list(data$dropped)
  )
}

fit <- fit_mirt(
  data$responses,
  opts$model,
  prior,
  opts$quadrature,
  standard_errors = opts$standard_errors,
  method = opts$method,
  dimensions = opts$dimensions,
  technical = technical,
  tolerance = opts$tolerance,
  max_cycles = opts$max_iterations,
  seed = opts$seed
)
record <- c(
  fit$record,
  list(
    seed = opts$seed,
    constant_items_dropped = I(data$dropped)
  )
)
if (!opts$allow_unconverged) {
  check_converged(record, opts$responses)
}

if (!is.null(opts$record)) {
  write_record(record, opts$record)
}
if (!is.null(fit$loadings)) {
  write_atomically(opts$loadings, \(path) {
    utils::write.csv(fit$loadings, path, row.names = FALSE)
  })
}
write_table(fit$parameters, opts$out, "parameters")
