"""The 360 suite in the workflow: a gap stops nothing, new things cost only themselves."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from itemwise.tables.contract import read_table

pytestmark = pytest.mark.slow


@pytest.fixture
def project(new_project, tmp_path):
    """Return a project that measures a good checkpoint and a corrupt one."""
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from tiny import make_model
    from tiny_suite import write_lines

    made = new_project()
    for step in (1, 2):
        make_model(tmp_path / "run" / f"step-{step}", seed=step)
    weights = tmp_path / "run" / "step-2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    texts = write_lines(tmp_path / "texts.jsonl", [{"text": "the river and the stone"}])
    config = {
        "run": "own",
        "profile": {
            "checkpoints": [{"folder": str(tmp_path / "run"), "tokens_per_step": 10}],
            "analyses": ["perplexity"], "device": "cpu", "mem_mb": 1000,
            "settings": {"perplexity": {"data": str(texts)}, "all": {"seed": 3}},
        },
    }  # fmt: skip
    made.environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    return made, config, tmp_path


def write(made, config) -> list[str]:
    """Write the configuration and return the options that use it."""
    (made.folder / "own.yaml").write_text(yaml.safe_dump(config))
    return ["--configfile", "own.yaml"]


def test_a_corrupt_checkpoint_is_a_gap_and_new_ones_cost_themselves(project):
    made, config, folder = project
    options = write(made, config)
    finished = made.snakemake(*options)
    assert finished.returncode == 0, finished.stdout
    results = made.folder / "results" / "own"
    (run,) = {path.parent.parent for path in results.glob("profile_checkpoints/*/step-1/*")}
    good, bad = (read_table(run / f"step-{n}/perplexity.parquet", "measures") for n in (1, 2))
    assert good["value"].notna().all()
    assert set(good["tokens"]) == {10}
    assert set(good["seed"]) == {3}
    assert bad["value"].isna().all()
    gaps = json.loads((results / "list_gaps/gaps.json").read_text())
    assert gaps["checkpoints"] == 2
    ((label, failed),) = gaps["failures"].items()
    assert label.endswith("@step-2")
    assert "does not load" in failed["perplexity"]
    page = (results / "profile.html").read_text(encoding="utf-8")
    assert "does not load" in page
    assert 'alt="trajectories: language modelling"' in page
    # Another checkpoint, then another analysis.
    shutil.copytree(folder / "run" / "step-1", folder / "run" / "step-3")
    assert made.planned(*options)["profile_checkpoints"] == 1
    config["profile"]["analyses"].append("longeval_lines")
    assert made.planned(*write(made, config))["profile_checkpoints"] == 3


def test_either_or_both_of_benchmarks_and_profile(project):
    made, config, _ = project
    config["profile"]["bank"] = "results/own/bank"
    config["profile"]["settings"]["bank"] = {"tasks": ["arc_challenge"]}
    config["benchmarks"] = {"sums": {"sources": "simulated"}}
    planned = made.planned(*write(made, config))
    assert planned["profile_checkpoints"] == 2
    assert planned["export_bank"] == 1
    assert "list_gaps" in planned
    config["profile"]["analyses"] = ["perplexty"]
    finished = made.snakemake("--dry-run", *write(made, config))
    assert "analysis 'perplexty' is not in the suite" in finished.stdout
