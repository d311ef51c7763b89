"""Benchmarks whose responses the workflow evaluates itself."""

from __future__ import annotations

import os

import pytest
import yaml

from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import read_table

pytestmark = pytest.mark.slow


@pytest.fixture
def project(new_project, tmp_path):
    """Return a project that evaluates two tiny models on two tasks."""
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from tiny import make_model, make_tasks

    made = new_project()
    make_tasks(tmp_path / "tasks")
    models = [make_model(tmp_path / "lab" / f"m{seed}", seed) for seed in (1, 2)]
    config = {
        "run": "own",
        "benchmarks": {
            "vocabulary": {"sources": "evaluated", "tasks": ["words"], "metric": "acc_norm"},
            "arithmetic": {"sources": "evaluated", "tasks": ["sums"], "filter": "strict"},
        },
        "evaluate": {
            "lms": [str(models[0]), {"lm": str(models[1]), "subject": "other/m2@step9"}],
            "include_path": str(tmp_path / "tasks"), "device": "cpu",
        },
    }  # fmt: skip
    (made.folder / "own.yaml").write_text(yaml.safe_dump(config))
    made.environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    return made


def test_responses_of_evaluated_benchmarks(project):
    targets = [f"results/own/build_responses/{b}.parquet" for b in ("vocabulary", "arithmetic")]
    options = ["--configfile", "own.yaml", "--", *targets]
    finished = project.snakemake(*options)
    assert finished.returncode == 0, finished.stdout
    results = project.folder / "results" / "own"
    responses = read_responses(results / "build_responses/vocabulary.parquet")
    assert responses.matrix.shape == (2, 24)
    assert "other/m2@step9" in set(responses.subjects)
    items = read_table(results / "build_responses/vocabulary.items.parquet", "items")
    assert {"task", "doc_hash", "prompt_hash", "prompt", "choices"} <= set(items.columns)
    again = project.snakemake("--dry-run", *options)
    assert "Nothing to be done" in again.stdout
    # A further model costs itself alone.
    config = yaml.safe_load((project.folder / "own.yaml").read_text())
    config["evaluate"]["lms"].append({"lm": config["evaluate"]["lms"][0], "subject": "x/third"})
    (project.folder / "own.yaml").write_text(yaml.safe_dump(config))
    planned = project.planned(*options)
    assert planned["evaluate_model"] == 1
    assert os.listdir(results / "evaluate_model/ledger")
