"""Commands: exit status 2 and one line for the user's mistakes, and no half-written output."""

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from itemwise.cli.main import STAGES
from itemwise.irt.population import simulate_population
from itemwise.responses.matrix import Responses, read_responses, write_responses
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record
from itemwise.tables.page import written_by

# ---- The command line itself -------------------------------------------------


def test_every_stage_has_help(itemwise):
    overview = itemwise("--help")
    assert overview.status == 0
    for stage, does in STAGES.items():
        assert f"{stage} " in overview.out
        assert does in overview.out
        finished = itemwise(stage, "--help")
        assert finished.status == 0
        assert finished.out.startswith(f"usage: itemwise {stage}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "itemwise: error: no command given"),
        (["fit-itr"], "no command 'fit-itr'; did you mean 'fit-irt'?"),
        (["describe-config"], "the following arguments are required: --out"),
        (["describe-config", "--ou", "x"], "the following arguments are required: --out"),
        (["simulate-population", "--seed", "-1"], "argument --seed: -1 is below 0"),
        (["simulate-population", "--seed", "x"], "argument --seed: 'x' is not a whole number"),
        (["fit-irt", "--model", "5PL"], "argument --model: invalid choice: '5PL'"),
    ],
)
def test_wrong_usage_has_status_2(arguments, message, itemwise):
    finished = itemwise(*arguments)
    assert finished.status == 2
    assert message in finished.err


def test_process_prints_one_line_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "itemwise", "convert-table"]
    finished = subprocess.run(
        [*command, "--in", "none.parquet", "--out", "t.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 2
    assert finished.stderr == (
        "itemwise convert-table: error: none.parquet: no such file; check the path, or run the "
        "stage that writes it\n"
    )
    assert os.listdir(tmp_path) == []


# ---- Stages of a small run ---------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a folder with the tables of a small run, made without the pipeline."""
    folder = tmp_path_factory.mktemp("small")
    population = simulate_population("b", 0, 60, 12, 0.0, 0.05, seed=1)
    write_responses(population.responses, folder / "responses.parquet")
    write_table(population.parameters, folder / "parameters.parquet", "parameters")
    write_table(population.abilities.assign(se=1.0), folder / "abilities.parquet", "abilities")
    sets = np.where(np.arange(60) < 50, "train", "test")
    folds = np.where(np.arange(60) < 50, np.arange(60) % 5 + 1, np.nan)
    splits = pd.DataFrame({"subject": population.responses.subjects, "set": sets, "fold": folds})
    write_table(splits, folder / "splits.parquet", "splits")
    scores = pd.DataFrame({"subject": population.responses.subjects, "benchmark": "b"})
    write_table(scores.assign(full_score=50.0), folder / "full-scores.parquet", "full_scores")
    return folder


@pytest.fixture
def stage(itemwise, small, tmp_path):
    """Return a function that runs a stage on the small run's tables, some replaced."""

    def run(name: str, *inputs: str, options=(), **tables):
        words = []
        for which in inputs:
            path = small / f"{which}.parquet"
            if which in tables:
                path = tables[which]
            words += [f"--{which}", path]
        return itemwise(name, *words, *options, "--out", tmp_path / "out" / "t.parquet")

    return run


@pytest.fixture
def replaced(small, tmp_path):
    """Return a function that writes a changed copy of one of the small run's tables."""

    def write(table: str, change):
        path = tmp_path / f"{table}.parquet"
        if table == "responses":
            write_responses(change(read_responses(small / path.name)), path)
        else:
            name = table.replace("-", "_")
            change(read_table(small / path.name, name)).to_parquet(path, index=False)
        return {table: path}

    return write


CUT = ("cut-sets", "responses", "splits", "full-scores")
FIT = ("fit-irt", "responses")
SCORE = ("score-subjects", "responses", "parameters")
SELECT = ("select-items", "parameters", "abilities")
FILTER = ("--benchmark", "b", "--method", "information")
SELECT_OPTIONS = (*FILTER, "--budget", 5)


def test_fit_reads_a_training_table_as_responses(stage, itemwise, small, tmp_path):
    paths = {name: small / f"{name}.parquet" for name in CUT[1:]}
    inputs = [word for name, path in paths.items() for word in (f"--{name}", path)]
    training = tmp_path / "training.parquet"
    outputs = ("--out-training", training, "--out-test", tmp_path / "test.parquet")
    finished = itemwise("cut-sets", *inputs, "--benchmarks", "b", *outputs)
    assert (finished.status, finished.err) == (0, "")
    options = ("--no-standard-errors", "--record", tmp_path / "r.json")
    finished = stage(*FIT, options=options, responses=training)
    assert finished.status == 0, finished.err
    record = read_record(tmp_path / "r.json")
    assert record["n_subjects"] == 50
    items = read_responses(small / "responses.parquet").items
    fitted = read_table(tmp_path / "out" / "t.parquet", "parameters")["item"]
    assert sorted([*fitted, *record["constant_items_dropped"]]) == items.tolist()


def test_select_keeps_the_budget_and_draws_forms(stage, tmp_path):
    options = (*SELECT_OPTIONS, "--random-forms", 3)
    finished = stage(*SELECT, options=options)
    assert finished.status == 0, finished.err
    table = read_table(tmp_path / "out" / "t.parquet", "selection")
    sizes = table.groupby("form").size()
    assert sizes.index.tolist() == ["A", "random1", "random2", "random3"]
    assert sizes.nunique() == 1
    assert sizes["A"] <= 5
    assert not table.duplicated(["form", "item"]).any()
    first = (tmp_path / "out" / "t.parquet").read_bytes()
    assert stage(*SELECT, options=options).status == 0
    assert (tmp_path / "out" / "t.parquet").read_bytes() == first


def test_forms_are_scored_each_by_its_items(stage, small, tmp_path):
    items = read_table(small / "parameters.parquet", "parameters")["item"]
    selection = pd.DataFrame({"form": ["A"] * 3 + ["B"] * 4, "rank": [1, 2, 3, 1, 2, 3, 4]})
    selection = selection.assign(
        benchmark="b", item=items[:7].to_numpy(), information=np.nan, theta_at_maximum=np.nan
    )
    write_table(selection, tmp_path / "selection.parquet", "selection")
    finished = stage(*SCORE, options=("--selection", tmp_path / "selection.parquet"))
    assert finished.status == 0, finished.err
    both = read_table(tmp_path / "out" / "t.parquet", "abilities")
    assert sorted(both["form"].unique()) == ["A", "B"]
    parameters = read_table(small / "parameters.parquet", "parameters")
    write_table(parameters[3:7], tmp_path / "b.parquet", "parameters")
    assert stage(*SCORE, parameters=tmp_path / "b.parquet").status == 0
    alone = read_table(tmp_path / "out" / "t.parquet", "abilities")
    form = both[both["form"] == "B"].set_index("subject")["theta"]
    # The grid is chosen by the items scored: the same for both, so equal but for rounding.
    np.testing.assert_allclose(form[alone["subject"]], alone["theta"], atol=1e-9)


def test_a_form_that_nobody_answered_is_left_out(stage, small, replaced, tmp_path):
    """As happens where few test models answered part of the items each."""
    items = read_table(small / "parameters.parquet", "parameters")["item"].to_numpy()
    selection = pd.DataFrame({"form": ["A", "A", "B"], "rank": [1, 2, 1], "item": items[[0, 1, 2]]})
    selection = selection.assign(benchmark="b", information=np.nan, theta_at_maximum=np.nan)
    write_table(selection, tmp_path / "selection.parquet", "selection")

    def unanswered(responses: Responses) -> Responses:
        matrix = responses.matrix.copy()
        matrix[:, :2] = -1
        return Responses(responses.subjects, responses.items, matrix)

    options = ("--selection", tmp_path / "selection.parquet")
    spoilt = replaced("responses", unanswered)
    assert stage(*SCORE, options=(*options, "--pool"), **spoilt).status == 0
    table = read_table(tmp_path / "out" / "t.parquet", "abilities")
    assert table["form"].unique().tolist() == ["pool", "B"]
    write_table(selection[:2], tmp_path / "selection.parquet", "selection")
    finished = stage(*SCORE, options=options, **spoilt)
    assert finished.status == 2
    assert "no subject answered any of the items" in finished.err


def blank_row(responses: Responses) -> Responses:
    """Return the responses with nothing administered to the third subject."""
    matrix = responses.matrix.copy()
    matrix[2] = -1
    return Responses(responses.subjects, responses.items, matrix)


def first(n: int):
    return lambda table: table.head(n)


def assign(**columns):
    return lambda table: table.assign(**columns)


BAD = {
    "fit: subject without response": (
        FIT, (), "responses", blank_row,
        "responses.parquet: row 3: subject 'lab-01/model-03' has no response (1 such subjects)",
    ),
    "fit: few iterations": (
        FIT, ("--max-iterations", 1, "--prior", "none"), "responses", lambda t: t,
        "the 2PL fit has not converged (largest gradient",
    ),
    "score: subject without response": (
        SCORE, (), "responses", blank_row,
        "responses.parquet: row 3: subject 'lab-01/model-03' has no response (1 such subjects)",
    ),
    "score: items of another benchmark": (
        SCORE, (), "parameters", assign(item=[f"other.{i}" for i in range(12)]),
        "responses.parquet: 12 items have no column in the responses: other.0, other.1",
    ),
    "score: parameter missing": (
        SCORE, (), "parameters", lambda t: t.drop(columns="d"),
        "parameters.parquet: table 'parameters' lacks the column 'd'; it has 'item', 'a', 'g', 'u'",
    ),
    "score: asymptote beyond 1": (
        SCORE, (), "parameters", assign(u=1.5),
        "parameters.parquet: column 'u', row 1: '1.5' is not a finite number at least 0 and at",
    ),
    "select: more items than there are": (
        SELECT, (*FILTER, "--budget", 13), "abilities", lambda t: t,
        "budget: 13 items of 12 in the pool; set config key 'selection.budget' between 1",
    ),
    "select: threshold that nothing reaches": (
        SELECT, (*FILTER, "--threshold", 1e6), "abilities", lambda t: t,
        "benchmark 'b': no item reaches an information of 1e+06 (the largest is ",
    ),
    "select: no training subject has an ability": (
        SELECT, SELECT_OPTIONS, "abilities", assign(theta=np.nan),
        "abilities.parquet: 0 training subjects have an ability; at least 2 are needed",
    ),
    "select: item twice": (
        SELECT, SELECT_OPTIONS, "parameters", assign(item="q"),
        "parameters.parquet: row 2: item 'q' occurs twice; keep one row of each",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("which", "options", "table", "change", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused(which, options, table, change, message, stage, replaced, tmp_path):
    finished = stage(*which, options=options, **replaced(table, change))
    assert (finished.status, finished.out) == (2, "")
    last = finished.err.splitlines()[-1]  # above it, a progress bar or notices
    assert last.startswith(f"itemwise {which[0]}: error: ")
    assert message in last
    assert not (tmp_path / "out").exists()


UNCUT = {
    "subject without response": (
        "responses", blank_row,
        "responses.parquet: row 3: subject 'lab-01/model-03' has no response (1 such subjects)",
    ),
    "one training subject": (
        "splits", lambda t: t.assign(set=["train"] + ["test"] * 59),
        "splits.parquet: 1 training and 59 other subjects have responses; at least 2 and 1 are",
    ),
    "nobody to judge": (
        "splits", lambda t: t.assign(set="train", fold=1),
        "splits.parquet: 60 training and 0 other subjects have responses",
    ),
    "no fold": (
        "splits", assign(fold=np.nan),
        "splits.parquet: training subject 'lab-01/model-01' has no fold; write the splits by split",
    ),
    "split of other subjects": (
        "splits", lambda t: t.assign(subject="x" + t["subject"]), "splits.parquet: 60 of 60",
    ),
    "full scores of subjects that no set has": (
        "full-scores", lambda t: t.assign(subject=["x", *t["subject"][1:]]),
        "splits.parquet: 1 of 60 subjects of ",
    ),
    "full scores of another benchmark": (
        "full-scores", assign(benchmark="c"),
        "full-scores.parquet: no full scores of benchmark 'b'; it holds c: give the full scores",
    ),
    "set of another name": (
        "splits", assign(set="training"),
        "splits.parquet: column 'set', row 1: 'training' is not one of train, validation, test",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "change", "message"), UNCUT.values(), ids=UNCUT)
def test_what_cannot_be_cut_is_refused(table, change, message, itemwise, small, replaced, tmp_path):
    paths = {name: small / f"{name}.parquet" for name in CUT[1:]} | replaced(table, change)
    inputs = [word for name, path in paths.items() for word in (f"--{name}", path)]
    out = tmp_path / "out"
    outputs = ("--out-training", out / "training.parquet", "--out-test", out / "test.parquet")
    finished = itemwise("cut-sets", *inputs, "--benchmarks", "b", *outputs)
    assert (finished.status, finished.out) == (2, "")
    assert message in finished.err
    assert not out.exists()


def test_items_of_two_benchmarks_must_be_called_differently(itemwise, small, tmp_path):
    scores = read_table(small / "full-scores.parquet", "full_scores")
    write_table(scores.assign(benchmark="c"), tmp_path / "c.parquet", "full_scores")
    responses, out = small / "responses.parquet", tmp_path / "out"
    finished = itemwise(
        "cut-sets", "--benchmarks", "b", "c", "--responses", responses, responses,
        "--splits", small / "splits.parquet",
        "--full-scores", small / "full-scores.parquet", tmp_path / "c.parquet",
        "--out-training", out / "b.parquet", out / "c.parquet",
        "--out-test", out / "b.test.parquet", out / "c.test.parquet",
    )  # fmt: skip
    assert finished.status == 2
    assert "items of benchmark 'c' are called as items of 'b': " in finished.err
    assert "make item ids unique in the sources, such as 'c." in finished.err


@pytest.mark.parametrize("which", [FIT, SCORE, SELECT], ids=lambda which: which[0])
def test_missing_and_truncated_files_are_refused_by_every_stage(which, stage, small, tmp_path):
    options = SELECT_OPTIONS if which is SELECT else ()
    for name in which[1:]:
        path = tmp_path / f"{name}.parquet"
        finished = stage(*which, options=options, **{name: path})
        assert finished.status == 2
        assert f"{path}: no such file; check the path" in finished.err
        whole = (small / path.name).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        finished = stage(*which, options=options, **{name: path})
        assert finished.status == 2
        assert f"{path}: cannot be read as parquet, it is damaged" in finished.err
        assert not (tmp_path / "out").exists()


def test_selection_of_other_items_is_refused(stage, tmp_path):
    selection = pd.DataFrame(
        {"benchmark": "b", "form": "A", "rank": [1], "item": ["other.1"]}
    ).assign(information=np.nan, theta_at_maximum=np.nan)
    write_table(selection, tmp_path / "selection.parquet", "selection")
    finished = stage(*SCORE, options=("--selection", tmp_path / "selection.parquet"))
    assert finished.status == 2
    assert "selection.parquet: column 'item': 'other.1' has no parameters in " in finished.err


# ---- Conversion --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.parquet", "b.parquet"], "one must end in .parquet and the other in .csv"),
        (["t.csv", "t.parquet"], "say which table of the contract it is with --table"),
        (["none.csv", "t.parquet", "--table", "splits"], "none.csv: cannot be read as CSV"),
        (["t.csv", "t.parquet", "--table", "splits"], "t.csv: column 'set', row 1: 'dev' is not"),
        (["t.csv", "t.parquet", "--table", "items"], "t.csv: table 'items' lacks the column"),
    ],
)
def test_bad_conversion_is_refused(arguments, message, itemwise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("subject,set,fold\na,dev,1\n")
    source, out, *options = arguments
    finished = itemwise("convert-table", "--in", source, "--out", out, *options)
    assert finished.status == 2
    assert message in finished.err
    assert os.listdir(tmp_path) == ["t.csv"]


# ---- Pages -------------------------------------------------------------------


def test_page_of_the_contract_is_up_to_date(itemwise, root, tmp_path):
    assert itemwise("describe-tables", "--out", tmp_path / "page.md").status == 0
    page = (root / "docs" / "data-contract.md").read_text(encoding="utf-8")
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page == written, "docs/data-contract.md is out of date: run make docs"


def test_places_of_tables_are_of_rules_of_the_workflow(root):
    """Or of commands where there is no place."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "rules").glob("*.smk"))
    for places in written_by().values():
        for place in places:
            stage = re.match(r"`(\w+)", place)[1]
            if "/" in place:
                assert f"rule {stage}:" in rules, place
            else:
                assert stage.replace("_", "-") in STAGES or (root / "R" / f"{stage}.R").exists()


def test_page_of_the_configuration_is_written(itemwise, root, tmp_path):
    assert itemwise("describe-config", "--out", tmp_path / "page.md").status == 0
    page = (root / "config" / "README.md").read_text(encoding="utf-8")
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page == written, "config/README.md is out of date: run make docs"
