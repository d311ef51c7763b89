# Does the item response model fit the responses?
#
# Model. With P_ij the probability of a right answer at the estimated ability,
#   outfit = mean of (x - P)^2 / (P (1 - P)),  infit = its weighted mean,
#   Zh     = standardised log-likelihood of a subject's answers,
#   Q3     = correlation of x - P between two items,
#   S-X2   = observed and expected proportions right at each sum score,
#   M2     = deviations of all first and second moments, with RMSEA, CFI, TLI.
# S-X2 and M2 use the subjects with complete responses, where at least 100.
#
# Inputs.  responses (a training or test table is one), parameters; abilities
#          (optional, else EAP)
# Outputs. item_fit; person_fit; record (JSON): summaries, M2, the pairs with
#          the largest Q3, comparison of models
#
# Run.     Rscript --vanilla R/check_fit.R --benchmark arc \
#            --responses responses.parquet --parameters parameters.parquet \
#            --item-fit item_fit.parquet --person-fit person_fit.parquet \
#            --record fit_check.json --compare 1PL,2PL,3PL
# Flag.    --new-subjects   the parameters come from other subjects, and take no
#                           degrees of freedom

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

models <- section_options("irt", "model")[[1]]$choices
spec <- c(
  table_options("responses", "parameters"),
  table_options("item_fit", "person_fit", type = "output"),
  section_options(NULL, "seed"),
  list(
    stage_option("abilities", "file", "abilities table; by EAP without it"),
    stage_option("record", "output", "JSON record", required = TRUE),
    stage_option("benchmark", "string", "its name", required = TRUE),
    stage_option("s-x2", "flag", "compute S-X2", default = TRUE),
    stage_option("m2", "flag", "compute M2 (60 items: half a minute)", TRUE),
    stage_option("m2-items", "integer", "most items for M2", default = 50L),
    stage_option("compare", "list", "models to compare, as 1PL,2PL,3PL"),
    stage_option("new-subjects", "flag", "parameters come from other subjects")
  )
)

opts <- start_stage("check_fit", spec, "Check the fit of an IRT model.")
unknown <- setdiff(opts$compare, models)
if (length(unknown) > 0) {
  user_error(
    "--compare: no model ",
    format_list(unknown),
    "; take ",
    format_list(models)
  )
}
estimated <- !opts$new_subjects
check_mirt()
bank <- read_table(opts$parameters, "parameters")
answers <- read_responses(opts$responses) |>
  calibrated_responses(bank)
bank <- bank[match(colnames(answers), bank$item), ]
given <- if (!is.null(opts$abilities)) read_table(opts$abilities, "abilities")
theta <- known_abilities(answers, bank, given)
known <- !is.na(theta)
answers <- answers[known, , drop = FALSE]

set.seed(opts$seed)
cells <- answer_residuals(answers, bank, theta[known])
complete <- complete_responses(answers)
with_s_x2 <- opts$s_x2 && !is.null(complete)
with_m2 <- opts$m2 &&
  !is.null(complete) &&
  ncol(answers) <= opts$m2_items
of_items <- item_fit(
  answers,
  cells,
  opts$benchmark,
  if (with_s_x2) s_x2(complete, bank, estimated)
)
of_persons <- person_fit(answers, cells, opts$benchmark)

write_table(of_items, opts$item_fit, "item_fit")
write_table(of_persons, opts$person_fit, "person_fit")
write_record(
  list(
    benchmark = opts$benchmark,
    n_subjects = nrow(answers),
    n_without_ability = sum(!known),
    n_items = ncol(answers),
    n_complete = sum(stats::complete.cases(answers)),
    parameters_estimated_from_these_subjects = estimated,
    seed = opts$seed,
    item_fit = summarise_fit(of_items),
    person_fit = summarise_fit(of_persons),
    q3 = describe_q3(q3(cells)),
    m2 = if (with_m2) m2(complete, bank, estimated),
    comparison = if (!is.null(opts$compare)) {
      compare_models(answers, opts$compare, seed = opts$seed)
    },
    notices = I(skipped(opts, complete, ncol(answers)))
  ),
  opts$record
)
