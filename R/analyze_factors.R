# What do the benchmarks have in common?
#
# Model. Exploratory factor analysis of the full scores, of the abilities, and
# of the abilities from the short forms (where given), of the training subjects
# that have all benchmarks: z = L f + e, minimum residuals, oblimin rotation,
# one factor and more as far as they are identified. The first factor's
# regression score is related to the mean of all full scores over test subjects
# (training subjects where there are none).
#
# Inputs.  full_scores and abilities of every benchmark: of training models from
#          the pool and perhaps from the forms, of test models from both
# Outputs. loadings; record (JSON) with fit indices. Where benchmarks share too
#          few models: a table without rows, and the record says why
#          (`left_out`).
#
# Run.     Rscript --vanilla R/analyze_factors.R --benchmarks a,b,c \
#            --full-scores a.parquet,b.parquet,c.parquet \
#            --abilities a.theta.parquet,b.theta.parquet,c.theta.parquet \
#            --test-abilities a.test.parquet,b.test.parquet,c.test.parquet \
#            --out loadings.parquet --record factors.json

# fmt: skip
source(c(sub("--file=(.*/)?.*", "\\1itemwise/load.R", gsub("~+~", " ", grep("--file=", commandArgs(), value = TRUE), fixed = TRUE)), "R/itemwise/load.R")[1])

spec <- c(
  table_options("full_scores", "abilities", type = "files"),
  table_options(form_abilities = "abilities", type = "files", required = FALSE),
  table_options(test_abilities = "abilities", type = "files"),
  table_options(out = "loadings", type = "output"),
  list(
    stage_option("record", "output", "JSON record", required = TRUE),
    stage_option(
      "benchmarks",
      "list",
      "one a table, in order",
      required = TRUE
    ),
    stage_option("form", "string", "form to analyse", default = "A"),
    stage_option(
      "max-factors",
      "integer",
      "most factors",
      3L,
      bounds = list(minimum = 1)
    )
  )
)

opts <- start_stage("analyze_factors", spec, "Analyse factors.")
benchmarks <- opts$benchmarks
for (name in c("abilities", "form_abilities", "test_abilities")) {
  given <- length(opts[[name]])
  if (given != length(benchmarks) && !is.null(opts[[name]])) {
    user_error(
      "--",
      gsub("_", "-", name),
      ": ",
      given,
      " files for ",
      length(benchmarks),
      " benchmarks; give one a benchmark, in their order"
    )
  }
}
full <- do.call(rbind, lapply(opts$full_scores, read_table, "full_scores"))
scores <- lapply(stats::setNames(benchmarks, benchmarks), \(benchmark) {
  part <- benchmark_scores(full, benchmark)
  data.frame(subject = part$subject, value = part$full_score)
})
read_abilities <- \(paths) {
  lapply(paths, \(path) read_table(path, "abilities") |> one_method())
}
thetas <- \(tables, form) {
  tables <- lapply(tables, \(table) {
    part <- by_form(table, form)[[form]]
    part <- part[!is.na(part$theta), ]
    data.frame(subject = part$subject, value = part$theta)
  })
  stats::setNames(tables, benchmarks)
}
scores_of <- \(tables) {
  subjects <- unlist(lapply(tables, `[[`, "subject"))
  lapply(scores, \(table) table[table$subject %in% subjects, ])
}
trained <- read_abilities(opts$abilities)
tested <- read_abilities(opts$test_abilities)
measures <- list(
  scores = list(train = scores_of(trained), test = scores_of(tested)),
  abilities = list(
    train = thetas(trained, "pool"),
    test = thetas(tested, "pool")
  )
)
if (!is.null(opts$form_abilities)) {
  measures$form_abilities <- list(
    train = thetas(read_abilities(opts$form_abilities), opts$form),
    test = thetas(tested, opts$form)
  )
}
obstacle <- factor_obstacle(lapply(measures, `[[`, "train"))
if (!is.null(obstacle)) {
  leave_stage_out(obstacle, c(loadings = opts$out), list(), opts$record)
}
overall <- rowMeans(common_values(scores))
results <- lapply(
  measures,
  \(measure) {
    train <- common_values(measure$train)
    train <- train[rownames(train) %in% names(overall), ]
    common <- Reduce(intersect, lapply(measure$test, `[[`, "subject"))
    common <- intersect(common, names(overall))
    # Fewer cannot carry a correlation; then it is over training subjects.
    test <- if (length(common) >= 50) common_values(measure$test) else train
    list(train = train, test = test[rownames(test) %in% names(overall), ])
  }
)
analyses <- Map(
  \(measure, values) {
    most <- opts$max_factors
    analyze_measure(measure, values$train, values$test, overall, most)
  },
  names(results),
  results
)
write_record(lapply(analyses, `[[`, "solutions"), opts$record)
made <- do.call(rbind, unname(lapply(analyses, `[[`, "loadings")))
write_table(made, opts$out, "loadings")
