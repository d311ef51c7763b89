#!/usr/bin/env bash
# Check R/itemwise as a package: that man/ and NAMESPACE are those that roxygen2 writes, and
# R CMD check, which fails on errors and warnings. It checks in a folder of its own, as one who has
# the package alone: tests that need the clone are skipped there, and run by `make test-r`.
set -euo pipefail
cd "$(dirname "$0")/.."

place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
cp -r R/itemwise "$place/itemwise"
cd "$place"

if Rscript -e 'quit(status = !requireNamespace("roxygen2", quietly = TRUE))'; then
  cp -r itemwise written
  Rscript -e 'suppressMessages(roxygen2::roxygenise("written"))' >/dev/null
  if ! diff -r itemwise/man written/man || ! diff itemwise/NAMESPACE written/NAMESPACE; then
    echo "R/itemwise/man is not what its sources say; run make docs" >&2
    exit 1
  fi
else
  echo "R package roxygen2 is not installed: whether R/itemwise/man is up to date is not checked"
fi

R CMD build itemwise
_R_CHECK_FORCE_SUGGESTS_=false _R_CHECK_CRAN_INCOMING_=false \
  R CMD check --no-manual itemwise_*.tar.gz
if grep -E '^Status:.*(ERROR|WARNING)' itemwise.Rcheck/00check.log; then
  exit 1
fi
