# Item statistics of classical test theory, and the rules that exclude items.

#' Compute item statistics
#'
#' With \eqn{x_{ij}} the answer of subject \eqn{i} to item \eqn{j},
#' \eqn{A_j} the subjects that were administered the item, and \eqn{p_i} the
#' proportion of right answers among all items administered to subject \eqn{i},
#' \deqn{\bar{x}_j = \frac{1}{n_j} \sum_{i \in A_j} x_{ij}, \qquad
#'   s_j^2 = \frac{1}{n_j - 1} \sum_{i \in A_j} (x_{ij} - \bar{x}_j)^2,}
#' and the item-total correlation is the Pearson correlation of \eqn{x_{ij}}
#' with \eqn{p_i} over \eqn{A_j}. The total includes the item itself.
#'
#' @param responses Integer matrix, subjects x items: 1, 0 or `NA`.
#' @param block Items handled at a time, which bounds the memory of the
#'   double-precision copies that matrix products make.
#' @return Data frame with one row an item: `item`, `n`, `mean`, `sd` (`NA`
#'   below 2 answers) and `item_total_correlation` (`NA` where undefined).
#' @export
item_statistics <- function(responses, block = 1000) {
  total <- rowMeans(responses, na.rm = TRUE)
  # Sums of squares about a centre near the mean do not cancel.
  total <- total - mean(total, na.rm = TRUE)
  total[is.nan(total)] <- 0 # subjects without answers weigh nothing below
  columns <- seq_len(ncol(responses))
  blocks <- split(columns, ceiling(columns / block))
  statistics <- lapply(blocks, \(block) {
    block_statistics(responses[, block, drop = FALSE], total)
  })
  data.frame(
    item = colnames(responses),
    do.call(rbind, unname(statistics))
  )
}

#' Compute the statistics of a block of items
#'
#' @param x Integer matrix, subjects x items.
#' @param total Numeric vector along the subjects: centred proportion correct.
#' @return Data frame as from [item_statistics()], without `item`.
#' @noRd
block_statistics <- function(x, total) {
  answered <- !is.na(x)
  n <- colSums(answered)
  sums <- crossprod(answered, cbind(total, total^2))
  x[!answered] <- 0L
  right <- colSums(x) # the sum of squares too, for answers are 0 or 1
  # Sums of squares and products about the means of the answering subjects.
  xx <- right - right^2 / n
  tt <- sums[, 2] - sums[, 1]^2 / n
  xt <- drop(crossprod(x, total)) - right * sums[, 1] / n
  # Rounding leaves a constant total with a sum of squares just off zero.
  defined <- n > 1 & xx > 0 & tt > 1e-12 * n
  correlation <- ifelse(defined, xt / sqrt(xx * pmax(tt, 0)), NA)
  data.frame(
    n = as.integer(n),
    mean = ifelse(n > 0, right / n, NA),
    sd = ifelse(n > 1, sqrt(xx / (n - 1)), NA),
    item_total_correlation = pmin(pmax(correlation, -1), 1),
    row.names = NULL
  )
}

#' Weigh item-total correlations as a screen does
#'
#' metabench computes
#' \eqn{(m_1 - m) / s \cdot \sqrt{n_1 n_0 / (n (n - 1))}} with \eqn{m} the mean
#' total of all subjects, where the point-biserial correlation has that of the
#' subjects who were wrong: since \eqn{m_1 - m = (m_1 - m_0) n_0 / n}, it is
#' the correlation times the share of wrong answers, which excludes many more
#' of the easy items.
#'
#' @param statistics Data frame from [item_statistics()].
#' @param discrimination `"correlation"`, or `"discounted"`: metabench's.
#' @return Numeric vector along the items.
#' @noRd
weighed_correlation <- function(statistics, discrimination) {
  r <- statistics$item_total_correlation
  if (discrimination == "discounted") r * (1 - statistics$mean) else r
}

#' List the rules that exclude items
#'
#' An item is excluded when \eqn{s_j \le} `min_sd`, \eqn{\bar{x}_j >}
#' `max_mean`, or \eqn{|r_j| <} `min_item_total`, with \eqn{r_j} as weighed by
#' `weighed_correlation()`. A clearly negative correlation is kept: such an
#' item still tells subjects apart. An undefined standard deviation excludes;
#' an undefined correlation does where the item varies.
#'
#' This is the one place of a rule: its name is the configuration key of its
#' limit, and reasons, record and report say what stands here.
#'
#' @param discrimination As for `weighed_correlation()`.
#' @return Named list of rules: `figure` and `sign`, as reasons say them;
#'   `value`, a function of the statistics from [item_statistics()];
#'   `excludes`, a function of that value, the limit and the statistics.
#' @references Kipnis A., Voudouris K., Schulze Buschoff L. M. & Schulz E.
#'   (2025). metabench: a sparse benchmark of reasoning and knowledge in large
#'   language models. ICLR 2025.
#' @noRd
screening_rules <- function(discrimination = "correlation") {
  share <- if (discrimination == "discounted") " x share wrong"
  list(
    min_sd = list(
      figure = "sd",
      sign = "<=",
      value = \(items) items$sd,
      excludes = \(sd, limit, items) is.na(sd) | sd <= limit
    ),
    max_mean = list(
      figure = "mean",
      sign = ">",
      value = \(items) items$mean,
      excludes = \(mean, limit, items) !is.na(mean) & mean > limit
    ),
    min_item_total = list(
      figure = paste0("|item-total correlation|", share),
      sign = "<",
      value = \(items) abs(weighed_correlation(items, discrimination)),
      excludes = \(r, limit, items) {
        ifelse(is.na(r), !is.na(items$sd) & items$sd > 0, r < limit)
      }
    )
  )
}

#' Apply rules to the statistics of items
#'
#' @param statistics Data frame from [item_statistics()].
#' @param limits Named list: the limit of each rule that counts, by its name in
#'   [screening_rules()].
#' @param discrimination As for `weighed_correlation()`.
#' @return List of `excluded` (logical matrix, items x rules), `reasons` (the
#'   same in words, with the item's figures) and `rules` (each in words).
#' @noRd
apply_rules <- function(statistics, limits, discrimination = "correlation") {
  rules <- screening_rules(discrimination)
  stopifnot("no such rule" = all(names(limits) %in% names(rules)))
  each <- Map(rules[names(limits)], limits, f = \(rule, limit) {
    value <- rule$value(statistics)
    list(
      excluded = rule$excludes(value, limit, statistics),
      reasons = sprintf("%s %.4g %s %g", rule$figure, value, rule$sign, limit),
      words = sprintf("%s %s %g", rule$figure, rule$sign, limit)
    )
  })
  list(
    excluded = do.call(cbind, lapply(each, `[[`, "excluded")),
    reasons = do.call(cbind, lapply(each, `[[`, "reasons")),
    rules = vapply(each, `[[`, "", "words")
  )
}

#' What is said of items that no training subject answered
#' @noRd
no_responses <- "no training responses"

#' Screen the items of a benchmark
#'
#' @param items `items` table.
#' @param responses Integer matrix, training subjects x items.
#' @param limits Named list of the limits: `min_sd`, `max_mean` (in units of a
#'   proportion) and `min_item_total` (of a correlation). A rule without a
#'   limit excludes nothing.
#' @param discrimination `"correlation"`, or `"discounted"`: metabench's, the
#'   correlation times the share of wrong answers.
#' @return `items` with the columns `n`, `mean`, `sd`,
#'   `item_total_correlation`, `keep` (1 or 0) and `reason`: every rule that
#'   excludes the item with its figures, empty when kept.
#' @references Kipnis A., Voudouris K., Schulze Buschoff L. M. & Schulz E.
#'   (2025). metabench: a sparse benchmark of reasoning and knowledge in large
#'   language models. ICLR 2025.
#' @examples
#' answers <- matrix(rbinom(200, 1, 0.6), 20)
#' colnames(answers) <- paste0("i", 1:10)
#' items <- data.frame(benchmark = "arc", item = colnames(answers))
#' screen_items(items, answers, list(min_sd = 0.01, max_mean = 0.95))
#' @export
screen_items <- function(
  items,
  responses,
  limits,
  discrimination = "correlation"
) {
  unknown <- setdiff(colnames(responses), items$item)
  if (length(unknown) > 0) {
    user_error(
      "--items: ",
      length(unknown),
      " items of the responses have no row: ",
      format_list(unknown),
      "; give the items table written with the responses"
    )
  }
  statistics <- item_statistics(responses)
  statistics <- statistics[match(items$item, statistics$item), -1]
  statistics$n[is.na(statistics$n)] <- 0L
  found <- apply_rules(statistics, limits, discrimination)
  if (all(rowSums(found$excluded) > 0)) {
    user_error(all_excluded(found$excluded))
  }
  reason <- vapply(
    seq_len(nrow(items)),
    \(row) paste(found$reasons[row, found$excluded[row, ]], collapse = "; "),
    ""
  )
  reason[statistics$n == 0] <- no_responses
  items[names(statistics)] <- statistics
  items$keep <- as.integer(!nzchar(reason))
  items$reason <- reason
  items
}

#' Say why no item is left
#'
#' @param excluded Logical matrix from [apply_rules()].
#' @return Message that names the rule that excludes most items and the options.
#' @noRd
all_excluded <- function(excluded) {
  counts <- sort(colSums(excluded), decreasing = TRUE)
  options <- paste0("--", gsub("_", "-", names(counts)))
  paste0(
    "all ",
    nrow(excluded),
    " items are excluded, most of them (",
    counts[1],
    ") by ",
    options[1],
    "; relax ",
    paste(options, collapse = ", "),
    ", or add training subjects"
  )
}

#' Describe a screen
#'
#' @param items `items` table from [screen_items()].
#' @param subjects Number of training subjects.
#' @param limits,discrimination As for [screen_items()].
#' @return Named list: training subjects, items, items kept, excluded, and
#'   excluded by each rule (an item may break several).
#' @noRd
describe_screen <- function(items, subjects, limits, discrimination) {
  answered <- items[items$n > 0, ]
  found <- apply_rules(answered, limits, discrimination)
  counts <- stats::setNames(colSums(found$excluded), found$rules)
  counts[[no_responses]] <- nrow(items) - nrow(answered)
  list(
    training_subjects = subjects,
    items = nrow(items),
    kept = sum(items$keep),
    excluded = sum(items$keep == 0),
    excluded_by = lapply(as.list(counts), as.integer)
  )
}
