#!/usr/bin/env bash
# Snakemake runs this once it has made the environment: the package that runs the workflow goes
# into it. From a clone as a link, so that a changed file is used at once; an installed one comes
# from the package index, or from the folder of its wheel (export PIP_FIND_LINKS=folder).
set -euo pipefail
if [ -d "$ITEMWISE_REQUIREMENT" ]; then
  set -- --editable "$ITEMWISE_REQUIREMENT"
else
  set -- "$ITEMWISE_REQUIREMENT"
fi
"$CONDA_PREFIX/bin/python" -m pip install --quiet --no-deps "$@"
