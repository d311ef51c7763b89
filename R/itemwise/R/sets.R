# Training tables: what everything that chooses, calibrates or fits may know.

#' Read a training table
#'
#' @param path `training` table (file): of the stage cut_sets, or of one that
#'   left items out.
#' @return List along the training subjects: `responses`, an integer matrix,
#'   subjects x items, with both names (1 right, 0 wrong, `NA` not
#'   administered); `fold`; and `full_score` in points, `NA` where unknown. A
#'   user error names what breaks the contract.
#' @export
read_training <- function(path) {
  table <- read_table(path, "training")
  list(
    responses = responses_matrix(table),
    fold = table$fold,
    full_score = table$full_score
  )
}

#' Keep some items of a training table
#'
#' @param training List from [read_training()].
#' @param items Names of the items.
#' @return The same, with these items alone, of the subjects that answered any
#'   of them; a message says who was left out.
#' @noRd
keep_items <- function(training, items) {
  everybody <- rownames(training$responses)
  kept <- drop_unanswered(
    training$responses[, items, drop = FALSE],
    "screened-out"
  )
  rows <- match(rownames(kept), everybody)
  list(
    responses = kept,
    fold = training$fold[rows],
    full_score = training$full_score[rows]
  )
}

#' Write a training table
#'
#' @param training List as of [read_training()].
#' @param path Parquet file.
#' @return `path`, invisibly.
#' @noRd
write_training <- function(training, path) {
  x <- training$responses
  answers <- lapply(seq_len(ncol(x)), \(item) unname(x[, item]))
  known <- list(
    subject = rownames(x),
    fold = training$fold,
    full_score = training$full_score
  )
  columns <- c(known, stats::setNames(answers, colnames(x)))
  write_table(list2DF(columns), path, "training")
}
