# Adaptive tests by catR, the reference engine.

#' What catR calls our criteria, estimators and stops
#' @noRd
cat_criteria <- c(
  MFI = "MFI",
  MEPV = "MEPV",
  KL = "KL",
  KLP = "KLP",
  progressive = "progressive",
  random = "random"
)
cat_estimators <- c(EAP = "EAP", MAP = "BM", ML = "ML")
cat_stops <- c(
  max_length = "length",
  se = "precision",
  cut = "classification",
  information = "minInfo"
)

#' Bring item parameters into catR's form
#'
#' \deqn{P = c + (d - c) / (1 + \exp(-a (\theta - b))), \qquad b = -d_i / a}
#'
#' @param parameters `parameters` table.
#' @return Matrix with the columns a, b, c and d.
#' @noRd
cat_bank <- function(parameters) {
  flat <- parameters$item[parameters$a == 0]
  if (length(flat) > 0) {
    user_error(
      "--parameters: item ",
      format_list(flat),
      " has slope 0, which catR's difficulty does not exist for; leave it out"
    )
  }
  cbind(
    a = parameters$a,
    b = -parameters$d / parameters$a,
    c = parameters$g,
    d = parameters$u
  )
}

#' Collect how a test chooses, estimates and stops, as catR wants it
#'
#' @param opts Options of the stage.
#' @return List of `start`, `test` and `stop` for `catR::randomCAT()`.
#' @export
cat_rule <- function(opts) {
  range <- c(-opts$limit, opts$limit)
  method <- unname(cat_estimators[[opts$estimator]])
  thresholds <- unlist(opts[intersect(names(cat_stops), names(opts))])
  test <- list(
    method = method,
    itemSelect = unname(cat_criteria[[opts$criterion]]),
    parInt = c(range, opts$nodes),
    range = range,
    infoType = "Fisher",
    randomesque = opts$randomesque,
    proRule = "length",
    proThr = opts$max_length
  )
  list(
    start = list(
      nrItems = opts$start,
      theta = cat_start(opts),
      startSelect = "MFI"
    ),
    test = utils::modifyList(test, cat_extra(opts$cat_test)),
    stop = list(
      rule = unname(cat_stops[names(thresholds)]),
      thr = unname(thresholds),
      alpha = 2 * stats::pnorm(-opts$z)
    )
  )
}

#' Say at which abilities the first items are chosen
#'
#' @param opts Options `start`, `theta0` and `spread`.
#' @return One ability for all, or one an item.
#' @noRd
cat_start <- function(opts) {
  if (!is.null(opts$spread)) {
    return(seq(-opts$spread, opts$spread, length.out = opts$start))
  }
  if (is.null(opts$theta0)) 0 else opts$theta0
}

#' Read further arguments of catR's `test` list
#'
#' @param text R expressions such as `"AP = 0.5, sem.type = 'new'"`, or `NULL`.
#' @return List.
#' @noRd
cat_extra <- function(text) {
  if (is.null(text)) {
    return(list())
  }
  tryCatch(
    eval(parse(text = paste0("list(", text, ")")), baseenv()),
    error = \(e) {
      user_error(
        "--cat-test '",
        text,
        "': is no list of R arguments (",
        conditionMessage(e),
        "); write for example \"AP = 0.5\""
      )
    }
  )
}

#' Run one test on a row of responses
#'
#' Items that the subject was not administered are not in its bank.
#'
#' @param responses Responses 0, 1 or `NA` along the bank.
#' @param bank Matrix from [cat_bank()].
#' @param rule List from [cat_rule()].
#' @param min_length Smallest number of items.
#' @param seed Seed of catR's random choices, or `NULL`.
#' @return Data frame with `step`, `position` (row of the bank), `response`,
#'   `theta` and `se` after each item.
#' @noRd
run_cat <- function(responses, bank, rule, min_length = 0, seed = NULL) {
  known <- which(!is.na(responses))
  rule$test$random.seed <- seed
  rule$start$random.seed <- seed
  final <- rule$test[c("method", "parInt", "range")]
  made <- catR::randomCAT(
    trueTheta = NULL,
    itemBank = bank[known, , drop = FALSE],
    responses = unname(responses[known]),
    min.length = min_length,
    start = rule$start,
    test = rule$test,
    stop = rule$stop,
    final = final,
    allTheta = TRUE
  )
  n <- length(made$testItems)
  # catR estimates from the last start item on; before, there is no estimate.
  pad <- \(values) c(rep(NA_real_, n - length(values)), values)
  data.frame(
    step = seq_len(n),
    position = known[made$testItems],
    response = as.integer(made$pattern),
    theta = pad(made$thetaProv),
    se = pad(made$seProv)
  )
}

#' Run one test a row
#'
#' With the criterion `MFI` the next item is the one with the largest
#' information at the current estimate \eqn{\hat{\theta}},
#' \deqn{I(\theta) = \frac{P'(\theta)^2}{P(\theta) (1 - P(\theta))}.}
#'
#' @param responses Matrix, subjects (row names) by items of the bank.
#' @param parameters `parameters` table along its columns.
#' @param rule List from [cat_rule()].
#' @param benchmark,name Name of the benchmark and of the rule.
#' @param min_length,seed As for `run_cat()`.
#' @return `cat_traces` table.
#' @references Magis D. & Raiche G. (2012). Random generation of response
#'   patterns under computerized adaptive testing with the R package catR.
#'   Journal of Statistical Software 48(8).
#' @export
simulate_cats <- function(
  responses,
  parameters,
  rule,
  benchmark,
  name,
  min_length = 0,
  seed = NULL
) {
  bank <- cat_bank(parameters)
  parts <- lapply(rownames(responses), \(subject) {
    trace <- run_cat(responses[subject, ], bank, rule, min_length, seed)
    data.frame(
      subject = subject,
      benchmark = benchmark,
      rule = name,
      engine = "catR",
      step = trace$step,
      item = parameters$item[trace$position],
      response = trace$response,
      theta = trace$theta,
      se = trace$se
    )
  })
  traces <- do.call(rbind, parts)
  traces[!is.na(traces$theta), ]
}
