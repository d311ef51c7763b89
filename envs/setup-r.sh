#!/usr/bin/env bash
# Install R from Debian when it is missing, and try CRAN for what only CRAN has.
set -euo pipefail

debian="r-base-core r-base-dev r-cran-mgcv r-cran-optparse r-cran-jsonlite r-cran-yaml r-cran-testthat r-cran-roxygen2 r-cran-lintr r-cran-psych r-cran-gparotation"
system="python3-venv python3-dev build-essential $debian"

lacking() { # R packages of the list that cannot be loaded
  Rscript --vanilla -e 'p <- commandArgs(TRUE); cat(p[!vapply(p, requireNamespace, NA, quietly = TRUE)])' "$@"
}

need_debian=""
command -v Rscript >/dev/null || need_debian=yes
[ -n "$need_debian" ] || [ -z "$(lacking mgcv optparse jsonlite yaml testthat)" ] || need_debian=yes
command -v R >/dev/null && R CMD config CC >/dev/null 2>&1 || need_debian=yes
python3 -c 'import ensurepip, venv' 2>/dev/null || need_debian=yes

if [ -n "$need_debian" ]; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "R, its packages or python3-venv are missing. Install them, then run make again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $system" >&2
    exit 2
  fi
  echo "Installing R and its packages from Debian"
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $system >/dev/null
fi

cran="$(lacking mirt catR nanoparquet psych GPArotation)"
# ITEMWISE_CRAN=never leaves CRAN alone: what Debian has is enough.
if [ -n "$cran" ] && [ "${ITEMWISE_CRAN:-try}" != never ]; then
  echo "Trying CRAN for: $cran"
  Rscript --vanilla - $cran <<'R' || true
options(timeout = 60, repos = "https://cloud.r-project.org", Ncpus = parallel::detectCores())
wanted <- commandArgs(TRUE)
reachable <- tryCatch(
  nrow(suppressWarnings(available.packages())) > 0,
  error = \(e) FALSE
)
if (reachable) {
  library <- .libPaths()[1]
  if (file.access(library, 2) != 0) {
    library <- Sys.getenv("R_LIBS_USER")
    dir.create(library, recursive = TRUE, showWarnings = FALSE)
  }
  install.packages(wanted, lib = library, quiet = TRUE)
} else {
  message("CRAN cannot be reached from here.")
}
R
fi

Rscript --vanilla - <<'R'
say <- \(package, without) {
  if (requireNamespace(package, quietly = TRUE)) {
    message("  ", package, " ", packageVersion(package))
  } else {
    message("  ", package, " is not installed: ", without)
  }
}
message("R ", getRversion(), " with:")
say("mgcv", "the read-out stage cannot run")
say("mirt", "the reference engine for calibration is off")
say("catR", "the reference engine for adaptive testing is off")
say("psych", "factors are not analysed")
say("nanoparquet", "R reads tables through the Python package")
R
