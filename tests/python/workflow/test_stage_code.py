"""The code that a rule lists as its input is the code that its stage runs."""

import ast
import subprocess
import sys

import pytest

from itemwise.cli.main import STAGES
from itemwise.paths import ROOT
from itemwise.workflow.stage_code import DATA_FILES, PACKAGE, stage_code

PYTHON_STAGES = [name.replace("-", "_") for name in STAGES]
R_STAGES = [path.stem for path in sorted((ROOT / "R").glob("*.R"))]

# One process loads the large libraries, then forks for each stage. The re-exports in
# `irt/__init__.py` are for people who import the package; they are left out here, since
# a stage imports the modules that it needs.
LOADED = """
import importlib, os, sys, types
import huggingface_hub, jinja2, jsonschema, matplotlib.pyplot, pandas, psutil, pyarrow.parquet
import scipy.optimize, scipy.signal, scipy.stats, threadpoolctl, tqdm, yaml
for stage in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    package = types.ModuleType("itemwise.irt")
    package.__path__ = ["python/itemwise/irt"]
    sys.modules["itemwise.irt"] = package
    importlib.import_module(f"itemwise.stages.{stage}")
    for module in list(sys.modules.values()):
        if module.__name__.startswith("itemwise") and getattr(module, "__file__", None):
            print(stage, module.__file__)
    sys.stdout.flush()
    os._exit(0)
"""

SOURCED = """
invisible(Sys.setlocale("LC_CTYPE", "C.UTF-8"))
note <- \\(path) cat("READ", normalizePath(path), "\\n")
trace(base::source, quote(note(file)), print = FALSE)
trace(utils::read.csv, quote(note(file)), print = FALSE)
trace(yaml::read_yaml, quote(note(file)), print = FALSE)
arguments <- \\(trailingOnly = FALSE) {{
  if (trailingOnly) "--help" else c("R", "--file=R/{stage}.R", "--args", "--help")
}}
attach(list(commandArgs = arguments)) # where the package finds it, too
source("R/{stage}.R")
"""


def test_packages_describe_themselves_and_do_nothing_else():
    for path in (ROOT / "python" / "itemwise").rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node in body:
            lazy = isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
            assert lazy or isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign), path


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Return the package's modules that each stage loads."""
    printed = subprocess.run(
        [sys.executable, "-c", LOADED, *PYTHON_STAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    modules = {stage: set() for stage in PYTHON_STAGES}
    for line in printed.splitlines():
        stage, path = line.split(" ", 1)
        if not path.endswith("__init__.py"):
            modules[stage].add(str((ROOT / path).relative_to(ROOT)))
    return modules


@pytest.mark.parametrize("stage", PYTHON_STAGES)
def test_python_stage_lists_every_module_that_it_loads(stage, loaded):
    assert f"python/itemwise/stages/{stage}.py" in loaded[stage]
    assert loaded[stage] <= set(stage_code(stage))


@pytest.mark.parametrize("stage", R_STAGES)
def test_r_stage_lists_every_file_that_it_sources(stage, rscript):
    printed = rscript(SOURCED.format(stage=stage)).stdout
    found = [line.split(" ", 1) for line in printed.splitlines()]
    paths = {path.strip() for read, path in filter(lambda line: line[0] == "READ", found)}
    sourced = {path.removeprefix(f"{ROOT}/") for path in paths}
    assert {f"R/{stage}.R", "R/itemwise/load.R", "R/itemwise/R/options.R"} <= sourced
    assert sourced <= set(stage_code(stage, "R"))


def test_unknown_stage_is_an_error():
    with pytest.raises(FileNotFoundError, match="fit_itr"):
        stage_code("fit_itr")


LANGUAGES = [(stage, "Python") for stage in PYTHON_STAGES] + [(stage, "R") for stage in R_STAGES]


@pytest.mark.parametrize(("stage", "language"), LANGUAGES)
def test_listed_files_exist_each_once_in_order(stage, language):
    files = stage_code(stage, language)
    assert files == sorted(set(files))
    assert all((ROOT / path).is_file() for path in files)


@pytest.mark.parametrize("stage", ["build_responses", "screen_items", "write_report"])
def test_data_that_code_reads_is_listed(stage):
    assert "python/itemwise/tables/contract.csv" in stage_code(stage)
    assert ("python/itemwise/report/page.html" in stage_code(stage)) == (stage == "write_report")


def test_every_template_is_listed_with_the_code_that_fills_it():
    templates = set((PACKAGE / "report").glob("*.html"))
    assert templates <= set(DATA_FILES.values())
    assert "python/itemwise/report/scores.html" in stage_code("score_model")
