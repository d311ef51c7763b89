"""Tiny models trained by the workflow: checkpoints of one run are subjects of one group."""

import pytest
import yaml
from projects import shell_jobs
from record_keys import check_run

from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

pytestmark = pytest.mark.slow

CONFIG = {
    "run": "mini",
    "tiny_models": {
        "items": 10, "lines": 1000, "checkpoints": [3, 12],
        "runs": {"one": {"width": 16, "layers": 1}, "two": {"width": 16, "held_out": True}},
    },
    "benchmarks": {
        "knowledge": {"sources": "evaluated", "tasks": ["tiny_facts"]},
        "numbers": {"sources": "evaluated", "tasks": ["tiny_arithmetic", "tiny_sorting"]},
    },
    "evaluate": {"device": "cpu", "batch_size": 64},
    "irt": {"reference": "never"},
}  # fmt: skip
OPTIONS = ["--configfile", "mini.yaml"]
FOLLOWED = {"score_model", "adapt_checkpoints", "follow_run"}


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    """Return a project that has trained and evaluated the run that calibrates."""
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    made = new_project()
    (made.folder / "mini.yaml").write_text(yaml.safe_dump(CONFIG))
    cache = tmp_path_factory.mktemp("cache")
    made.environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(cache)}
    targets = [f"results/mini/build_responses/{b}.parquet" for b in CONFIG["benchmarks"]]
    finished = made.snakemake(*OPTIONS, "--", *targets)
    assert finished.returncode == 0, finished.stdout
    return made


def test_checkpoints_are_subjects_of_one_group(project):
    results = project.folder / "results" / "mini"
    responses = read_responses(results / "build_responses/numbers.parquet")
    assert responses.matrix.shape == (2, 20)
    assert responses.subjects.tolist() == ["one/step-12", "one/step-3"]
    subjects = read_table(results / "build_responses/knowledge.subjects.parquet", "subjects")
    assert set(subjects["group"]) == {"one"}
    assert subjects.set_index("subject")["step"].to_dict() == {"one/step-3": 3, "one/step-12": 12}
    items = read_table(results / "build_responses/numbers.items.parquet", "items")
    assert items["prompt"].str.endswith(("=", ":")).all()


def test_records_are_as_described(project):
    assert {"train_tiny_models", "evaluate_run"} <= check_run(project.folder / "results" / "mini")


def test_held_out_run_calibrates_nothing_and_is_followed(project):
    planned = project.planned(*OPTIONS)
    assert {rule: planned.get(rule) for rule in FOLLOWED} == dict.fromkeys(FOLLOWED, 1)
    assert not planned.keys() & {
        "train_tiny_models",
        "evaluate_run",
        "build_responses",
    }  # done for all


def test_a_further_run_is_trained_alone(project):
    """The others are kept, and so are their answers: what was made of them is not made again."""
    config = yaml.safe_load((project.folder / "mini.yaml").read_text())
    config["tiny_models"]["runs"]["three"] = {"width": 16, "layers": 1, "held_out": True, "seed": 2}
    (project.folder / "more.yaml").write_text(yaml.safe_dump(config))
    state = project.folder / "results/mini/train_tiny_models/one/state.pt"
    written = state.stat().st_mtime_ns
    options = ["--configfile", "more.yaml"]
    finished = project.snakemake(*options, "--", "results/mini/evaluate_run/three.parquet")
    assert finished.returncode == 0, finished.stdout
    assert state.stat().st_mtime_ns == written
    records = project.folder / "results/mini/evaluate_run"
    asked = {
        name: sum(one["asked_now"] for one in read_record(records / f"{name}.json")["checkpoints"])
        for name in ("one", "two", "three")
    }
    assert asked == {"one": 0, "two": 0, "three": 60}
    assert "build_responses" not in project.planned(*options)


def test_every_job_lists_the_code_that_it_runs(project):
    printed = project.snakemake("--dry-run", "--forceall", "--printshellcmds", *OPTIONS).stdout
    jobs = shell_jobs(printed)
    commands = [command.split()[1] for _, command, _ in jobs]
    assert commands.count("train-tiny-models") == commands.count("evaluate-run") == 1
    for inputs, command, code in jobs:
        assert set(code) <= inputs, command
