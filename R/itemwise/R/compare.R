# Did another formula help? Two read-outs of the same subjects side by side.

#' Compare the squared errors of two read-outs, subject by subject
#'
#' Models of one group, such as a training run, err alike, and so do models of
#' one organization: the standard error is that of \eqn{G} clusters. With
#' \eqn{d_i = e_{i,new}^2 - e_{i,old}^2} of \eqn{n} subjects and their mean
#' \eqn{\bar d},
#' \deqn{se^2 = \frac{G}{G - 1} \frac{1}{n^2}
#'   \sum_g \Big( \sum_{i \in g} (d_i - \bar d) \Big)^2.}
#'
#' @param new,old `reconstructions` tables.
#' @param subjects `subjects` table. Clusters are its groups where it has any,
#'   else its organizations; a subject without one is its own.
#' @param form,readout Which form and read-out to compare.
#' @return Data frame of one row: `n` predictions, `clusters`, `rmse_new` and
#'   `rmse_old` (points), `difference` \eqn{\bar d} and its `se` (squared
#'   points; `NaN` for a single cluster). Below 0 the new one is better.
#' @references Liang K.-Y. & Zeger S. L. (1986). Longitudinal data analysis
#'   using generalized linear models. Biometrika 73, 13-22.
#' @export
compare_readouts <- function(
  new,
  old,
  subjects,
  form = "A",
  readout = "ability"
) {
  of_one <- \(table) table[table$form == form & table$readout == readout, ]
  columns <- c("subject", "benchmark", "full_score", "predicted")
  both <- merge(
    of_one(new)[columns],
    of_one(old)[columns],
    by = c("subject", "benchmark", "full_score"),
    suffixes = c("_new", "_old")
  )
  if (nrow(both) == 0) {
    user_error(
      "no subject is in both tables with form '",
      form,
      "', read-out '",
      readout,
      "' and the same full score; give read-outs of the same benchmark"
    )
  }
  known <- if (all(is.na(subjects$group))) "organization" else "group"
  cluster <- subjects[[known]][match(both$subject, subjects$subject)]
  cluster <- ifelse(is.na(cluster), both$subject, cluster)
  squares <- \(predicted) (predicted - both$full_score)^2
  new_square <- squares(both$predicted_new)
  old_square <- squares(both$predicted_old)
  change <- new_square - old_square
  sums <- rowsum(change - mean(change), cluster)
  groups <- length(sums)
  data.frame(
    n = nrow(both),
    clusters = groups,
    rmse_new = sqrt(mean(new_square)),
    rmse_old = sqrt(mean(old_square)),
    difference = mean(change),
    se = sqrt(groups / (groups - 1) * sum(sums^2)) / nrow(both)
  )
}
