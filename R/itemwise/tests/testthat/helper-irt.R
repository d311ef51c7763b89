# What tests of the item response models share.

skip_without_mirt <- function() {
  skip_without_clone() # whose file of weak priors fits read
  skip_if_not_installed("mirt")
}

# The five items of the Law School Admission Test, section 7.
lsat7 <- function() {
  x <- as.matrix(mirt::expand.table(mirt::LSAT7))
  storage.mode(x) <- "integer"
  rownames(x) <- sprintf("s%04d", seq_len(nrow(x)))
  x
}

make_parameters <- function(a, d, g = 0, u = 1) {
  data.frame(
    item = sprintf("i%d", seq_along(a)),
    a = a,
    d = d,
    g = g,
    u = u
  )
}

draw_answers <- function(parameters, n, missing = 0, seed = 1) {
  set.seed(seed)
  curves <- item_curves(parameters, cbind(rnorm(n)))
  x <- t(1L * (matrix(runif(n * nrow(parameters)), ncol = n) < curves$right))
  x[runif(length(x)) < missing] <- NA
  dimnames(x) <- list(sprintf("s%d", seq_len(n)), parameters$item)
  x
}

# The published responses and estimates of a form of a benchmark.
published <- function(form) {
  folder <- Sys.getenv("ITEMWISE_DATA", file.path(root, "../shared/data"))
  path <- \(what) {
    file.path(folder, "leaderboard", paste0(form, ".", what, ".parquet"))
  }
  if (!file.exists(path("mirt-items"))) {
    skip("published estimates not there (ITEMWISE_DATA)")
  }
  parameters <- read_table(path("mirt-items"), "parameters")
  x <- responses_matrix(read_table(path("responses"), "responses"))
  list(responses = x[, parameters$item], parameters = parameters)
}

numeric_gradient <- function(objective, at, step = 1e-4) {
  vapply(
    seq_along(at),
    \(index) {
      change <- replace(0 * at, index, step)
      (objective(at + change) - objective(at - change)) / (2 * step)
    },
    numeric(1)
  )
}
