# Run from the root of the repository: Rscript tests/testthat.R
# Tests that need an optional package (mirt, catR, nanoparquet) are skipped by
# name where it is not installed; the summary lists them.
results <- testthat::test_dir(
  "tests/testthat",
  reporter = "summary",
  stop_on_failure = FALSE
)
counts <- colSums(as.data.frame(results)[c("nb", "failed", "skipped", "error")])
cat(sprintf(
  "R tests: %d checks, %d failed, %d tests stopped by an error, %d skipped\n",
  counts[["nb"]],
  counts[["failed"]],
  counts[["error"]],
  counts[["skipped"]]
))
quit(status = counts[["failed"]] + counts[["error"]] > 0)
