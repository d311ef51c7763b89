#!/usr/bin/env bash
# Make .venv with the exact versions of constraints.txt.
set -euo pipefail

[ -x .venv/bin/python ] || python3 -m venv .venv
# The wheel of rpy2-rinterface needs R >= 4.5; built from source it works with 4.2.
.venv/bin/pip install --quiet --disable-pip-version-check \
  --no-binary rpy2-rinterface -c constraints.txt -e '.[dev,eval,r,slurm,docs]'
.venv/bin/pip check
.venv/bin/itemwise --version
