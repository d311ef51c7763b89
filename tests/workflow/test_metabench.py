"""The reproduction of metabench, end to end, on a small made-up archive of its form."""

from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from record_keys import check_run

from itemwise.paths import ROOT
from itemwise.r.worker import r_has
from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

PARTS = {
    "arc": ["arc"], "gsm8k": ["gsm8k"], "hellaswag": ["hellaswag"],
    "mmlu": ["mmlu_anatomy", "mmlu_virology"], "truthfulqa": ["truthfulqa"],
    "winogrande": ["winogrande"],
}  # fmt: skip
N_MODELS, N_ITEMS = 260, 40
MODELS = [f"organization{i // 4}/model{i}" for i in range(N_MODELS)]
LOWEST, WITHOUT_GSM8K, WITHOUT_VIROLOGY = MODELS[0], MODELS[1:21], MODELS[30]
SMALL_SMOOTHS = "s(overall.linear, k = 4) + s(overall.sub_score, k = 4) + s(each.theta, k = 4)"
SMALL = {
    "run": "mini",
    "benchmarks": {b: {"selection": {"budget": 8, "bins": 20}} for b in PARTS},
    "irt": {"engine": "native", "reference": "never"},
    "preselection": {"size": 20, "draws": 100},
    "selection": {"random_forms": 1, "draws": 50},
    "readout": {
        "formula": "full_score ~ s(theta, bs = 'cr', k = 5)",
        "form_formula": "full_score ~ s(theta, bs = 'cr', k = 5) + s(sub_score, bs = 'cr', k = 5)",
    },
    "joint": {
        "formula": f"full_score ~ {SMALL_SMOOTHS} + s(own.linear, k = 4) + s(own.sub_score, k = 4)",
        "overall_formula": f"full_score ~ {SMALL_SMOOTHS}",
    },
    "cat": {"rules": []},
}
"""What makes the run small; everything else is config/metabench.yaml's."""

# Some sixty jobs, on a machine that may be busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def write_archive(folder) -> None:
    """Write six benchmarks as metabench's scraper does: responses and prompts, as CSV."""
    rng = np.random.default_rng(5)
    general = rng.standard_normal(N_MODELS)
    for files in PARTS.values():
        ability = 0.8 * general + 0.6 * rng.standard_normal(N_MODELS)
        for file in files:
            slope, intercept = rng.lognormal(0.2, 0.3, N_ITEMS), rng.standard_normal(N_ITEMS)
            chance = 1 / (1 + np.exp(-(np.outer(ability, slope) + intercept)))
            right = (rng.random(chance.shape) < chance).astype(int)
            right[:, 4] = 1  # nobody is wrong, so screened out
            right[:, 7] = right[:, 2]  # the same question again
            right[0] = 0
            frame = pd.DataFrame(right, MODELS, range(1, N_ITEMS + 1)).rename_axis("source")
            frame = frame.melt(ignore_index=False, var_name="item", value_name="correct")
            absent = {"gsm8k": WITHOUT_GSM8K, "mmlu_virology": [WITHOUT_VIROLOGY]}.get(file, [])
            frame[~frame.index.isin(absent)].to_csv(folder / f"{file}.csv")
            prompts = [f"Question {number}, of {file}?\nAnswer:" for number in range(N_ITEMS)]
            prompts[7] = prompts[2]
            table = pd.DataFrame({"item": range(1, N_ITEMS + 1), "prompt": prompts})
            table.to_csv(folder / f"{file}_prompts.csv", index=False)


@pytest.fixture(scope="module")
def project(new_project, tmp_path_factory):
    """Return a project with the archive and the file that makes the run small."""
    made = new_project()
    archive = tmp_path_factory.mktemp("archive")
    write_archive(archive)
    config = {**SMALL, "benchmarks": {**SMALL["benchmarks"]}}
    if r_has("mirt"):
        config["benchmarks"]["gsm8k"] = {**SMALL["benchmarks"]["gsm8k"], "irt": {"engine": "mirt"}}
    (made.folder / "small.yaml").write_text(yaml.safe_dump(config))
    made.environment["METABENCH_ARCHIVE"] = str(archive)
    return made


@pytest.fixture(scope="module")
def results(project):
    """Return the folder of the finished reproduction."""
    files = ["--configfile", "config/metabench.yaml", "small.yaml"]
    finished = project.run(project.command(*files), timeout=900)
    assert finished.returncode == 0, finished.stdout
    return project.folder / "results" / "mini"


def test_archive_is_read_under_published_names_without_what_the_paper_leaves_out(results):
    built = {b: read_record(results / f"build_responses/{b}.json") for b in PARTS}
    for benchmark, record in built.items():
        assert record["left_out"]["lowest_subjects"] == [LOWEST], benchmark
    assert built["arc"]["left_out"]["repeated_items"] == ["arc.8"]
    assert built["mmlu"]["left_out"]["repeated_items"] == ["mmlu.anatomy.8", "mmlu.virology.8"]
    assert built["mmlu"]["left_out"]["incomplete_subjects"] == [WITHOUT_VIROLOGY]
    assert built["arc"]["left_out"]["incomplete_subjects"] == []
    responses = read_responses(results / "build_responses/mmlu.parquet")
    assert responses.matrix.shape == (N_MODELS - 2, 2 * (N_ITEMS - 1))
    assert responses.items[0] == "mmlu.anatomy.1"
    items = read_table(results / "build_responses/arc.items.parquet", "items")
    assert items["text"].iloc[0] == "Question 0, of arc?\nAnswer:"
    # Scores are of the items left: one right answer is 100 / 39 points.
    scores = read_table(results / "build_responses/arc.full-scores.parquet", "full_scores")
    right = scores["full_score"] / 100 * (N_ITEMS - 1)
    np.testing.assert_allclose(right, right.round(), atol=1e-9)


def test_models_that_lack_a_benchmark_train(results):
    splits = read_table(results / "split_subjects/splits.parquet", "splits").set_index("subject")
    assert (splits.loc[[*WITHOUT_GSM8K, WITHOUT_VIROLOGY], "set"] == "train").all()
    complete = N_MODELS - 1 - len(WITHOUT_GSM8K) - 1
    assert (splits["set"] == "test").sum() == pytest.approx(0.1 * complete, abs=0.5)


def test_items_are_screened_and_thinned_before_calibration(results):
    for benchmark in PARTS:
        screened = read_table(results / f"screen_items/{benchmark}.parquet", "items")
        fifth = screened["item"].str.fullmatch(rf"{benchmark}.*\.5")
        assert not screened.loc[fifth, "keep"].any()
        thinned = read_table(results / f"preselect_items/{benchmark}.parquet", "items")
        kept = set(thinned.loc[thinned["keep"] == 1, "item"])
        assert len(kept) == 20
        assert kept < set(screened.loc[screened["keep"] == 1, "item"])
        parameters = read_table(results / f"fit_irt/{benchmark}.parquet", "parameters")
        assert set(parameters["item"]) == kept
        selection = read_table(results / f"select_items/{benchmark}.parquet", "selection")
        assert set(selection["item"]) <= kept
        assert 1 <= (selection["form"] == "A").sum() <= 8


def test_models_and_engines_are_those_of_the_configuration(results):
    fits = {b: read_record(results / f"fit_irt/{b}.json") for b in PARTS}
    models = {b: fit["model"] for b, fit in fits.items()}
    assert models == {
        "arc": "4PL", "gsm8k": "2PL", "hellaswag": "3PL", "mmlu": "3PL", "truthfulqa": "3PL",
        "winogrande": "3PL",
    }  # fmt: skip
    assert fits["gsm8k"]["engine"] == ("mirt" if r_has("mirt") else "native")
    assert {fit["prior"] for fit in fits.values()} == {"none"}
    abilities = read_table(results / "score_subjects/gsm8k.parquet", "abilities")
    assert set(abilities["method"]) == {"EAPsum"}


def test_report_sets_published_numbers_beside_ours(results):
    page = (results / "report.html").read_text(encoding="utf-8")
    table = page[page.index("Beside published results") : page.index("Who was tested")]
    rows = [
        [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
        for row in re.findall(r"<tr>.*?</tr>", table)[1:]
    ]
    by_name = {(row[0], row[1]): row for row in rows}
    assert len(rows) == 9
    joint = read_table(results / "assess_readout/test.parquet", "reconstructions")
    joint = joint[joint["readout"] == "joint-smooths"]
    for name, published in (("overall", "0.58"), ("arc", "1.17"), ("winogrande", "1.20")):
        test = joint[joint["benchmark"] == name]
        error = test["predicted"] - test["full_score"]
        row = by_name[name, "joint-smooths"]
        assert row[2] == f"{np.sqrt((error**2).mean()):.2f}"
        assert row[3] == published
        assert row[5] == f"{error.abs().mean():.2f}"
        assert row[11:15] == [str(test["n_items"].iloc[0]), "858", str(len(test)), "464"]
    assert by_name["gsm8k", "ability"][3] == "1.84"
    assert "the paper draws other subsets of 350," in table
    assert table.count("<li>") == 2
    assert re.search(r"20 of \d+ items were preselected", page)
    assert "Left out 1 lowest subjects: organization0/model0." in page


def test_joint_readout_and_factors_are_the_papers(results):
    assert {"fit_joint_process", "fit_joint_readout", "analyze_factors"} <= check_run(results)
    record = read_record(results / "fit_joint_readout/joint.json")
    formula = record["targets"]["arc"]["formula"]
    assert formula.count(".theta") == 6
    for name in ("arc.linear", "arc.sub_score", "overall.linear", "overall.sub_score"):
        assert f"s({name}, k = 4)" in formula
    paper = yaml.safe_load((ROOT / "config/metabench.yaml").read_text())["joint"]
    assert paper.pop("smooths")
    assert all(formula.count("bs = 'ad', k = 40") >= 3 for formula in paper.values())
    if not r_has("psych"):
        pytest.skip("R package psych is not installed")
    factors = read_record(results / "analyze_factors/factors.json")
    assert list(factors) == ["scores", "abilities", "form_abilities"]
    for solutions in factors.values():
        assert [solution["n_factors"] for solution in solutions] == [1, 2, 3]
    # All six share one factor by construction: loadings of about 0.8, less noise.
    assert factors["abilities"][0]["spearman_overall"] > 0.8


def test_adaptive_tests_are_simulated_as_in_the_paper(results, project):
    config = yaml.safe_load((project.folder / "config/metabench.yaml").read_text(encoding="utf-8"))
    (project.folder / "cat.yaml").write_text(
        yaml.safe_dump({"cat": {**config["cat"], "calibrate_on": 50}})
    )
    files = ["--configfile", "config/metabench.yaml", "small.yaml", "cat.yaml"]
    finished = project.snakemake(*files, "--", "results/mini/simulate_cat/arc.parquet")
    assert finished.returncode == 0, finished.stdout
    study = read_table(results / "simulate_cat/arc.study.parquet", "cat_study")
    assert {"metabench-MAP", "metabench-EAP", "adaptive"} == set(study["rule"])
    traces = read_table(results / "simulate_cat/arc.parquet", "cat_traces")
    paper = traces[traces["rule"] == "metabench-MAP"]
    lengths = paper.groupby("subject")["step"].max()
    ends = paper.sort_values("step").groupby("subject").last()
    # Until the standard error is 0.1 or all 20 items are asked, five at least.
    assert ((ends["se"] <= 0.1) | (lengths == 20)).all()
    assert lengths.min() >= 5


def test_archive_that_is_not_named_is_asked_for(project):
    environment = {k: v for k, v in project.environment.items() if k != "METABENCH_ARCHIVE"}
    before, project.environment = project.environment, environment
    try:
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
        finished = project.run([*command, "--configfile", "config/metabench.yaml"])
    finally:
        project.environment = before
    assert finished.returncode != 0
    assert (
        "path '$METABENCH_ARCHIVE/arc.csv': environment variable is not set; export it first"
    ) in finished.stdout
    assert "Traceback" not in finished.stdout
