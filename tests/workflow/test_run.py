"""A small run from end to end: complete, not repeated, and repeated only where code changed."""

import json
import re
import shlex
import shutil
import sys

import numpy as np
import pytest
import yaml
from projects import TINY, copy_of, shell_jobs
from record_keys import check_record, check_run

from itemwise.cli.main import main
from itemwise.readout.accuracy import accuracy
from itemwise.responses.matrix import Responses, read_responses, write_responses
from itemwise.tables.contract import read_table, write_table
from itemwise.workflow.config import resolve

RESULTS = "results/tiny"


def test_run_writes_report_and_nothing_is_left_to_do(finished_run):
    assert (finished_run.folder / RESULTS / "report.html").stat().st_size > 10_000
    for path in ("R/screen_items.R", "python/itemwise/selection/information_filter.py"):
        (finished_run.folder / path).touch()  # a file saved as it was repeats nothing
    again = finished_run.snakemake("--dry-run")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


@pytest.fixture(scope="module")
def plan(finished_run):
    """Return what Snakemake prints of all jobs of the tiny run and their commands."""
    return finished_run.snakemake("--dry-run", "--forceall", "--printshellcmds").stdout


def test_folders_are_named_like_the_rules(finished_run, plan):
    results = finished_run.folder / RESULTS
    rules = set(re.findall(r"^(?:local)?rule (\w+):$", plan, re.MULTILINE))
    assert len(rules) > 8
    stages = {path.name for path in results.iterdir() if path.is_dir()}
    stages -= {"logs", "benchmarks", "bank", "training", "test"}
    for folder in ("logs", "benchmarks"):
        assert {path.name for path in (results / folder).iterdir()} >= stages
    assert stages <= rules
    for path in (results / "benchmarks").rglob("*.tsv"):
        log = results / "logs" / path.relative_to(results / "benchmarks").with_suffix(".log")
        assert log.exists(), path


def test_tables_keep_the_contract(finished_run):
    results = finished_run.folder / RESULTS
    tables = {
        "simulate_population/sums.parameters.parquet": "parameters",
        "simulate_population/sums.abilities.parquet": "abilities",
        "build_responses/sums.items.parquet": "items",
        "build_responses/sums.subjects.parquet": "subjects",
        "build_responses/sums.full-scores.parquet": "full_scores",
        "split_subjects/splits.parquet": "splits",
        "cut_sets/sums.parquet": "training",
        "test/sums.parquet": "test",
        "screen_items/sums.parquet": "items",
        "training/sums.parquet": "training",
        "fit_irt/sums.parquet": "parameters",
        "score_subjects/sums.parquet": "abilities",
        "score_forms/sums.parquet": "abilities",
        "score_test/sums.parquet": "abilities",
        "select_items/sums.parquet": "selection",
        "select_items/sums.information.parquet": "information",
        "fit_process/sums.parquet": "reconstructions",
        "fit_process/sums.terms.parquet": "terms",
        "fit_process/sums.reference.parquet": "reference",
        "fit_readout/sums.parquet": "reconstructions",
        "fit_readout/sums.features.parquet": "features",
        "fit_readout/sums.terms.parquet": "terms",
        "fit_readout/sums.linear.parquet": "linear_predictors",
        "assess_readout/test.parquet": "reconstructions",
        "assess_readout/test.features.parquet": "features",
        "draw_baseline/sums.parquet": "baseline",
    }
    for path, table in tables.items():
        read_table(results / path, table)


def test_records_are_as_described(finished_run):
    results = finished_run.folder / RESULTS
    written = {path.parent.name for path in results.glob("*/*.json")}
    assert check_run(results) == written
    record = json.loads((results / "fit_irt/sums.json").read_text())
    for broken in ({**record, "extra": 1}, {**record, "aic": "low"}, {"engine": "native"}):
        with pytest.raises(AssertionError, match="fit_irt"):
            check_record("fit_irt", broken)


def test_test_models_took_no_part_before_the_end(finished_run):
    results = finished_run.folder / RESULTS
    splits = read_table(results / "split_subjects/splits.parquet", "splits")
    training = (splits["set"] == "train").sum()
    fit = json.loads((results / "fit_irt/sums.json").read_text())
    assert fit["n_subjects"] == training
    screened = read_table(results / "screen_items/sums.parquet", "items")
    assert screened["n"].max() <= training
    organization = splits["subject"].str.split("/").str[0]
    in_both = set(organization[splits["set"] == "test"]) & set(
        organization[splits["set"] == "train"]
    )
    assert in_both == set()


JUDGES = (
    "score_test", "assess_readout", "draw_baseline", "simulate_cat", "write_report", "export_bank",
)  # fmt: skip
"""Rules that look at test models, or at what is said of them; nobody chooses by these."""

READERS = {
    "test/sums.parquet": {"score_test", "assess_readout", "draw_baseline", "simulate_cat"},
    "score_test/sums.parquet": {"assess_readout", "simulate_cat", "write_report"},
    "build_responses/sums.parquet": {"split_subjects", "cut_sets", "write_report"},
    "build_responses/sums.full-scores.parquet": {"split_subjects", "cut_sets"},
}
"""Of each file that says something of test models, the rules that may read it."""


@pytest.fixture(scope="module")
def jobs(plan) -> list[tuple[str, set[str], str]]:
    """Return of each job of the tiny run its rule, inputs and command."""
    found = re.findall(
        r"^rule (\w+):\n    input: (.*?)\n.*?^Shell command: (.*?)$", plan, re.M | re.S
    )
    return [(name, set(inputs.split(", ")), command) for name, inputs, command in found]


def test_the_wall_is_in_the_plan(jobs):
    """Whoever is not listed has no way to the test models: neither an input, nor a path."""
    assert len(jobs) > 15
    for file, readers in READERS.items():
        path = f"{RESULTS}/{file}"
        found = {name for name, inputs, _ in jobs if path in inputs}
        assert found <= readers, file
        named = {name for name, _, command in jobs if path in command}
        writers = {"build_responses", "cut_sets", "score_test"}
        assert named <= readers | writers, file
    test = f"{RESULTS}/test/"
    found = {name for name, inputs, _ in jobs if any(path.startswith(test) for path in inputs)}
    assert found == READERS["test/sums.parquet"]


SPOILT = ("build_responses", "test", "score_test", "assess_readout", "draw_baseline")
"""Folders that test models are in, or what is said of them."""
STUDIES = {"simulate_cat/sums.parquet", "simulate_cat/sums.study.parquet"}
SAID = {"bank/bank.json", "bank/README.md", "report.html"}
"""What tells the errors on test models."""


def content(path):
    """Return the bytes of a file, of a record without the times that it tells."""
    if path.suffix != ".json":
        return path.read_bytes()
    return re.sub(rb'"(seconds\w*)": [\d.e-]+', b"", path.read_bytes())


@pytest.fixture
def spoilt(finished_run, tmp_path):
    """Return a copy of the run in which all answers and scores of test models are turned round."""
    project = copy_of(finished_run, tmp_path / "spoilt")
    results = project.folder / RESULTS
    splits = read_table(results / "split_subjects/splits.parquet", "splits")
    test = splits.loc[splits["set"] == "test", "subject"].to_numpy(object)
    path = results / "build_responses/sums.parquet"
    responses = read_responses(path)
    cells = np.isin(responses.subjects, test)[:, None] & responses.administered
    turned = np.where(cells, 1 - responses.matrix, responses.matrix)
    write_responses(Responses(responses.subjects, responses.items, turned), path)
    path = results / "build_responses/sums.full-scores.parquet"
    scores = read_table(path, "full_scores")
    rows = scores["subject"].isin(test)
    scores.loc[rows, "full_score"] = 100 - scores.loc[rows, "full_score"]
    write_table(scores, path, "full_scores")
    for file in (results / "split_subjects").iterdir():
        file.touch()  # the split stays, though scores that it balanced are others
    return project


def test_answers_of_test_models_do_not_pass_the_cut(spoilt, finished_run, jobs):
    """Of its two tables, rules that choose read one (`test_the_wall_is_in_the_plan`)."""
    (command,) = (command for name, _, command in jobs if name == "cut_sets")
    cut = spoilt.run([sys.executable, "-m", *shlex.split(command.split(" > ")[0])])
    assert cut.returncode == 0, cut.stdout
    for path, same in (("cut_sets/sums.parquet", True), ("test/sums.parquet", False)):
        before = content(finished_run.folder / RESULTS / path)
        assert (content(spoilt.folder / RESULTS / path) == before) == same, path


@pytest.mark.slow
def test_answers_of_test_models_change_nothing_on_the_other_side(spoilt, finished_run):
    """Every rule from the cut on runs again."""
    results = spoilt.folder / RESULTS
    again = spoilt.snakemake("--forcerun", "cut_sets")
    assert again.returncode == 0, again.stdout
    changed, same = set(), set()
    for path in sorted(results.rglob("*")):
        name = str(path.relative_to(results))
        if path.is_file() and name.split("/")[0] not in ("logs", "benchmarks", *SPOILT):
            before = content(finished_run.folder / RESULTS / name)
            (same if content(path) == before else changed).add(name)
    assert changed == STUDIES | SAID
    assert len(same) > 30
    judged = "assess_readout/test.parquet"
    assert content(results / judged) != content(finished_run.folder / RESULTS / judged)


def test_rules_that_choose_know_nothing_of_test_models(finished_run, jobs):
    results = finished_run.folder / RESULTS
    splits = read_table(results / "split_subjects/splits.parquet", "splits")
    test = set(splits.loc[splits["set"] == "test", "subject"])
    for table in ("", ".features"):
        kind = "features" if table else "reconstructions"
        written = read_table(results / f"fit_readout/sums{table}.parquet", kind)
        assert not set(written["subject"]) & test
        judged = read_table(results / f"assess_readout/test{table}.parquet", kind)
        assert set(judged["subject"]) <= test
        assert len(judged)
    assert {name for name, *_ in jobs} >= {*JUDGES, "select_items", "fit_process", "fit_readout"}
    for name, inputs, _ in jobs:
        if name not in JUDGES:
            assert not any(f"{RESULTS}/{j}/" in path for j in JUDGES for path in inputs), name


def test_report_says_what_the_tables_say(finished_run):
    results = finished_run.folder / RESULTS
    page = (results / "report.html").read_text(encoding="utf-8")
    table = read_table(results / "assess_readout/test.parquet", "reconstructions")
    table = table[table["readout"] == "process"]
    assert "predicted the full scores of" in page
    found = accuracy(table[table["form"] == "A"])
    assert (
        f"an RMSE of <strong>{found['rmse']:.2f}</strong> points (MAE {found['mae']:.2f})" in page
    )
    assert f"<td>{100 * found['coverage']:.1f} %</td>" in page
    selection = read_table(results / "select_items/sums.parquet", "selection")
    form = selection[selection["form"] == "A"]
    assert len(form) <= 10
    assert f"{len(form)} of 40 items rebuild the full score" in page
    positions = [
        page.index(f"<td>{item}</td>", page.index("Selected items")) for item in form["item"]
    ]
    assert positions == sorted(positions)  # in their order of selection
    assert "Simulated data." in page
    assert "2 random forms of that size" in page
    assert "winner of 4 trials" in page


def test_report_reads_nothing_but_the_inputs_of_its_rule(finished_run, jobs, tmp_path):
    (listed,) = (inputs for name, inputs, _ in jobs if name == "write_report")
    for path in filter(lambda path: path.startswith(RESULTS), listed):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(finished_run.folder / path, tmp_path / path)
    command = [sys.executable, "-m", "itemwise", "write-report", "--results", tmp_path / RESULTS]
    finished = finished_run.run([*command, "--out", tmp_path / "report.html"])
    assert finished.returncode == 0, finished.stdout


def test_summary_says_what_it_took_and_what_the_tables_say(finished_run, monkeypatch, capsys):
    monkeypatch.chdir(finished_run.folder)
    assert main(["summarize-run", "--results", RESULTS, "--phases"]) == 0
    assert re.search(r"^fit_irt +1 +[\d.]+ +[\d.]+", capsys.readouterr().out, re.M)
    assert main(["summarize-run", "--results", RESULTS]) == 0
    printed = capsys.readouterr().out
    assert "fit_irt" not in printed
    table = read_table(
        finished_run.folder / RESULTS / "assess_readout/test.parquet", "reconstructions"
    )
    table = table[(table["benchmark"] == "sums") & (table["form"] == "A")]
    table = table[(table["set"] == "test") & (table["readout"] == "process")]
    assert f"RMSE {accuracy(table)['rmse']:.2f} points" in printed
    assert f"{len(table)} test models" in printed
    assert f"The report: {RESULTS}/report.html" in printed


SMOOTHED = ["fit_readout", "assess_readout", "simulate_cat", "export_bank", "write_report"]
READ_OUT = ["fit_process", *SMOOTHED]
SCORED = ["score_forms", "score_test"]
SELECTED = ["search_selection", "select_items", *SCORED, "draw_baseline", *READ_OUT]
SCREENED = ["screen_items", "check_budget", "fit_irt", "fit_folds", "score_subjects", *SELECTED]
EDITS = {
    "an R stage": ("R/screen_items.R", SCREENED),
    "the R package": ("R/itemwise/R/readout.R", ["split_subjects", "cut_sets", *SCREENED]),
    "a Python stage": (
        "python/itemwise/stages/build_responses.py",
        ["build_responses", "split_subjects", "cut_sets", *SCREENED],
    ),
    "a Python module": ("python/itemwise/selection/information_filter.py", SELECTED),
    "the report's page": ("python/itemwise/report/page.html", ["write_report"]),
    "the documentation": ("config/README.md", []),
}


@pytest.mark.parametrize(("path", "rules"), EDITS.values(), ids=EDITS)
def test_edit_repeats_exactly_what_depends_on_it(path, rules, finished_run):
    file = finished_run.folder / path
    before = file.read_bytes()
    comment = b"<!-- edited -->\n" if path.endswith((".html", ".md")) else b"# edited\n"
    file.write_bytes(before + comment)
    try:
        planned = finished_run.planned()
    finally:
        file.write_bytes(before)
    assert planned == dict.fromkeys(rules and [*rules, "all"], 1)


def test_changed_setting_repeats_what_it_concerns(finished_run):
    (finished_run.folder / "level.yaml").write_text("readout: {level: 0.8}\n")
    planned = finished_run.planned("--configfile", TINY, "level.yaml")
    assert planned == dict.fromkeys([*READ_OUT, "write_config", "all"], 1)


def test_resolved_configuration_is_written_once(finished_run):
    """What it alone says is for the report; what nothing reads repeats nothing else."""
    config = yaml.safe_load((finished_run.folder / RESULTS / "config.yaml").read_text())
    assert config == resolve(yaml.safe_load((finished_run.folder / TINY).read_text()))
    published = "published: [{readout: joint, source: Someone, rmse: 1}]\n"
    (finished_run.folder / "published.yaml").write_text(published)
    planned = finished_run.planned("--configfile", TINY, "published.yaml")
    assert planned == dict.fromkeys(["write_config", "write_report", "all"], 1)


@pytest.mark.parametrize("engine", ["native", "mirt"])
def test_every_job_lists_the_code_that_it_runs(engine, finished_run, plan):
    """Which files a stage runs is traced in tests/python/workflow/test_stage_code.py."""
    if engine != "native":
        (finished_run.folder / "engine.yaml").write_text(f"irt: {{engine: {engine}}}\n")
        options = ("--dry-run", "--forceall", "--printshellcmds", "--configfile", TINY)
        plan = finished_run.snakemake(*options, "engine.yaml").stdout
    jobs = shell_jobs(plan)
    assert len(jobs) == 20
    for inputs, command, code in jobs:
        assert set(code) <= inputs, command


TWO = "benchmarks: {more: {sources: simulated, items: 40}}\n"


@pytest.mark.parametrize("smooths", [False, True])
def test_several_benchmarks_are_joined_by_one_process_and_by_smooths_on_demand(
    smooths, finished_run
):
    joint = f"joint: {{smooths: {str(smooths).lower()}}}\n"
    (finished_run.folder / "two.yaml").write_text(TWO + joint)
    files = ("--configfile", TINY, "two.yaml")
    planned = finished_run.planned(*files)
    assert planned["fit_joint_process"] == planned["assess_readout"] == 1
    assert planned.get("fit_joint_readout", 0) == int(smooths)
    printed = finished_run.snakemake("--dry-run", "--printshellcmds", *files).stdout
    inputs, command = re.search(
        r"^rule fit_joint_process:\n    input: (.*?)\n.*?^Shell command: (.*?)$",
        printed,
        re.M | re.S,
    ).groups()
    for text in (inputs, command):  # the wall
        assert not re.search(rf"{RESULTS}/(test|score_test|assess_readout)/", text)


def test_another_budget_calibrates_nothing_again(finished_run):
    (finished_run.folder / "larger.yaml").write_text("selection: {budget: 12}\n")
    planned = finished_run.planned("--configfile", TINY, "larger.yaml")
    assert {"check_budget", "select_items"} <= planned.keys()
    assert not {"fit_irt", "fit_folds", "score_subjects"} & planned.keys()
