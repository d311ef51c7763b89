# Fit one response matrix with R's mirt, 61 points, no priors; prints JSON.
# Run: Rscript --vanilla benchmarks/mirt_fit.R responses.parquet 2PL
options <- commandArgs(TRUE)
responses <- as.data.frame(nanoparquet::read_parquet(options[1]))
responses$subject <- NULL
began <- proc.time()[["elapsed"]]
fit <- mirt::mirt(
  responses, 1,
  itemtype = options[2], quadpts = 61, verbose = FALSE,
  technical = list(theta_lim = c(-6, 6), NCYCLES = 2000)
)
seconds <- proc.time()[["elapsed"]] - began
parameters <- mirt::coef(fit, simplify = TRUE)$items
peak <- grep("VmHWM", readLines("/proc/self/status"), value = TRUE)
jsonlite::toJSON(
  list(
    seconds = seconds,
    peak_mib = as.numeric(gsub("\\D", "", peak)) / 1024,
    converged = mirt::extract.mirt(fit, "converged"),
    a = parameters[, "a1"], d = parameters[, "d"],
    g = parameters[, "g"], u = parameters[, "u"]
  ),
  auto_unbox = TRUE, digits = NA
) |> cat()
