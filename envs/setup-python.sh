#!/usr/bin/env bash
# Make .venv with the exact versions of constraints.txt.
set -euo pipefail
export LC_ALL=C.UTF-8 # setuptools writes the clone's path in the locale's encoding

[ -x .venv/bin/python ] || python3 -m venv .venv
# The wheel of rpy2-rinterface needs R >= 4.5; built from source it works with 4.2.
.venv/bin/pip install --quiet --disable-pip-version-check \
  --no-binary rpy2-rinterface -c constraints.txt -e '.[dev,eval,r,slurm,docs]'
# Python reads .pth files in the locale's encoding, and in the C locale fails on a path with
# an accent: the path from site-packages to the package is the same wherever the clone lies.
for link in .venv/lib/python3*/site-packages/__editable__.itemwise-*.pth; do
  echo ../../../../python >"$link"
done
.venv/bin/pip check
.venv/bin/itemwise --version
