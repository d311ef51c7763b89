# Run from the root of the repository: Rscript tests/testthat.R
testthat::test_dir(
  "tests/testthat",
  reporter = "summary",
  stop_on_failure = TRUE
)
