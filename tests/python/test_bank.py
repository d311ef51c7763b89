"""The bank: scores as R does, moves anywhere, and is whole or refused."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from itemwise import bank
from itemwise.cli import main
from itemwise.config import ROOT
from itemwise.errors import UserError
from itemwise.files import write_record
from itemwise.population import simulate_population
from itemwise.readout import Readout
from itemwise.responses import Responses, read_responses, write_responses
from itemwise.tables import read_table, write_table

TERMS = [
    ("intercept", "intercept", "", "", 1, None, None, 50.0),
    ("linear", "se", "se", "", 1, None, None, -2.0),
    ("smooth", "s(theta)", "theta", "", 1, -1.0, None, -10.0),
    ("smooth", "s(theta)", "theta", "", 2, 0.0, None, 0.0),
    ("smooth", "s(theta)", "theta", "", 3, 1.0, None, 30.0),
    ("surface", "te", "theta", "se", 1, -1.0, 0.0, 0.0),
    ("surface", "te", "theta", "se", 2, -1.0, 1.0, 4.0),
    ("surface", "te", "theta", "se", 3, 1.0, 0.0, 0.0),
    ("surface", "te", "theta", "se", 4, 1.0, 1.0, 8.0),
    ("range", "theta", "theta", "", 1, -1.0, 1.0, 0.0),
    ("range", "se", "se", "", 1, 0.0, 1.0, 0.0),
    ("scale", "scale", "predicted", "", 1, 40.0, None, 1.0),
    ("scale", "scale", "predicted", "", 2, 60.0, None, 3.0),
    ("quantile", "quantile", "", "", 1, 0.9, None, 2.0),
]
COLUMNS = ["kind", "term", "variable", "variable2", "node", "x", "x2", "value"]


def test_terms_by_hand():
    readout = Readout("b, form A, form", pd.DataFrame(TERMS, columns=COLUMNS))
    at = pd.DataFrame({"theta": [0.5, -9.0, 0.0], "se": [0.5, 0.0, 1.0]})
    found = readout.predict(at)
    # 50 - 2 se + smooth + surface; a theta of -9 is held at -1.
    expected = [50 - 1 + 15 + 0.5 * (1 + 0.75 * 4 + 3), 40, 50 - 2 + 0 + 6]
    expected[0] = 50 - 1 + 15 + 0.5 * (4 + 0.75 * 4)
    np.testing.assert_allclose(found["predicted"], expected)
    assert found["extrapolated"].tolist() == [False, True, False]
    half = 2 * np.interp(expected, [40, 60], [1, 3])
    np.testing.assert_allclose(found["upper"] - found["predicted"], half)
    assert readout.level == 0.9
    with pytest.raises(UserError, match="predictor 'se' is missing"):
        readout.predict(at[["theta"]])


def test_an_infinite_interval_is_the_whole_range():
    terms = pd.DataFrame(TERMS, columns=COLUMNS)
    terms.loc[terms["kind"] == "quantile", "value"] = 1e12
    found = Readout("x", terms).predict(pd.DataFrame({"theta": [0.0], "se": [0.0]}))
    assert (found["lower"][0], found["upper"][0]) == (0, 100)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with all tables of two small benchmarks, read out by R."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    folder = tmp_path_factory.mktemp("made")
    for number, name in enumerate(("one", "two")):
        build(folder, name, number)
    return folder


def build(folder, name: str, number: int, responses=None, known=None, size: int = 12) -> None:
    """Calibrate, select and read out one benchmark of 200 subjects; simulated by default."""
    if responses is None:
        responses = simulate_population(name, number, 200, 30, 0.0, 0.01, 1).responses

    def path(what: str):
        return folder / f"{name}.{what}"

    write_responses(responses, path("responses.parquet"))
    items = pd.DataFrame({"benchmark": name, "item": responses.items})
    if known is not None:
        items = items.merge(known, on="item")
    write_table(items, path("items.parquet"), "items")
    write_record({"metric": None, "filter": None, "harness": []}, path("build.json"))
    share = np.where(responses.administered, responses.matrix, np.nan)
    scores = pd.DataFrame({"subject": responses.subjects, "benchmark": name})
    scores["full_score"] = 100 * np.nanmean(share, axis=1)
    write_table(scores, path("scores.parquet"), "full_scores")
    splits = pd.DataFrame({"subject": responses.subjects})
    splits["set"] = np.where(np.arange(200) < 150, "train", "test")
    splits["fold"] = np.where(np.arange(200) < 150, np.arange(200) % 5 + 1, np.nan)
    write_table(splits, path("splits.parquet"), "splits")
    stage("fit-irt", folder, name, "responses", "splits", out="parameters", record="fit.json")
    stage("score-subjects", folder, name, "responses", "parameters", out="abilities")
    tables = ("responses", "splits", "parameters", "abilities")
    options = ["--full-scores", path("scores.parquet"), "--benchmark", name, "--budget", size]
    options += ["--method", "reconstruction", "--random-forms", 1]
    stage("select-items", folder, name, *tables, more=options, out="selection")
    options = ["--selection", path("selection.parquet")]
    stage("score-subjects", folder, name, "responses", "parameters", more=options, out="forms")
    command = ["Rscript", "--vanilla", ROOT / "R" / "fit_readout.R", "--benchmark", name]
    command += ["--abilities", path("forms.parquet"), "--full-scores", path("scores.parquet")]
    for table in ("selection", "responses", "parameters", "splits"):
        command += [f"--{table}", path(f"{table}.parquet")]
    for table in ("features", "terms", "linear"):
        command += [f"--out-{table}", path(f"{table}.parquet")]
    command += ["--form-formula", "full_score ~ s(linear, k = 6) + te(theta, se, k = 3)"]
    command += ["--formula", "full_score ~ s(theta, k = 8) + se"]
    command += ["--out", path("readout.parquet"), "--record", path("readout.json")]
    subprocess.run([str(part) for part in command], check=True)


def stage(name, folder, benchmark, *tables, more=(), out, record=None) -> None:
    words = [name, *more, "--out", folder / f"{benchmark}.{out}.parquet"]
    for table in tables:
        words += [f"--{table}", folder / f"{benchmark}.{table}.parquet"]
    words += ["--record", folder / f"{benchmark}.{record}"] if record else []
    assert main([str(word) for word in words]) == 0


def export(made, out, names=("one", "two"), **changed) -> int:
    files = {
        "items": "items.parquet", "builds": "build.json", "form-abilities": "forms.parquet",
        "parameters": "parameters.parquet", "fits": "fit.json",
        "selections": "selection.parquet", "terms": "terms.parquet", "linear": "linear.parquet",
        "reconstructions": "readout.parquet", "readout-records": "readout.json",
    }  # fmt: skip
    words = ["export-bank", "--benchmarks", *names, "--methods", *["EAP"] * len(names)]
    words += ["--source", "made up", "--licence", "none", "--out", str(out)]
    for option, file in files.items():
        paths = [str(made / f"{name}.{file}") for name in names]
        words += [f"--{option}", *changed.get(option, paths)]
    return main(words)


@pytest.fixture(scope="module")
def folder(made):
    assert export(made, made / "bank") == 0
    return made / "bank"


@pytest.mark.parametrize("name", ["one", "two"])
def test_python_scores_as_mgcv_does(name, made, folder):
    """Every row: training rows by the model of all, which predictions of test subjects use."""
    bought = bank.read_bank(folder)
    responses = read_responses(made / f"{name}.responses.parquet")
    theirs = read_table(made / f"{name}.readout.parquet", "reconstructions")
    theirs = theirs[(theirs["set"] == "test") & (theirs["form"] == "A")]
    features = bought.features(responses, name, "A").set_index("subject", drop=False)
    for readout, part in theirs.groupby("readout"):
        mine = bought.readout(name, "A", readout)
        found = mine.predict(features.loc[part["subject"]].reset_index(drop=True))
        for column in ("predicted", "lower", "upper"):
            np.testing.assert_allclose(found[column], part[column], atol=1e-3)


def test_incomplete_forms_go_through_ability(made, folder):
    bought = bank.read_bank(folder)
    table = bought.score(read_responses(made / "one.responses.parquet"))
    complete = table["n_items"] == 12
    assert set(table["readout"][complete]) == {"form"}
    assert set(table["readout"][~complete]) == {"ability"}
    assert (~complete).any()
    assert set(table["benchmark"]) == {"one"}
    stranger = Responses(np.array(["m"], object), np.array(["x"], object), np.ones((1, 1), "int8"))
    with pytest.raises(UserError, match="hold no item of form 'A'"):
        bought.score(stranger)


def test_a_moved_bank_scores_alike_and_names_no_place(made, folder, tmp_path):
    responses = read_responses(made / "two.responses.parquet")
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    before, after = (bank.read_bank(place).score(responses) for place in (folder, moved))
    pd.testing.assert_frame_equal(before, after)
    for path in folder.rglob("*"):
        assert path.is_dir() or str(made).encode() not in path.read_bytes()
    assert "random1" not in set(bank.read_bank(folder).selection["form"])
    assert "one" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: (f / "forms.parquet").unlink(), "forms.parquet: is missing"),
        (lambda f: (f / "items.parquet").write_bytes(b"PAR1"), "was changed or cut off"),
        (lambda f: (f / "bank.json").write_text("{"), "holds no readable bank.json"),
        (lambda f: newer(f / "bank.json"), "bank of format 99"),
    ],
    ids=["missing", "truncated", "no card", "newer"],
)
def test_a_broken_bank_is_refused(harm, message, folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "bank")
    harm(broken)
    with pytest.raises(UserError, match=message):
        bank.read_bank(broken)


def newer(path) -> None:
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "format_version": 99}))


def test_an_interrupted_export_leaves_the_old_bank(made, folder, tmp_path, monkeypatch):
    old = shutil.copytree(folder, tmp_path / "bank")

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bank, "write_record", fails)
    with pytest.raises(KeyboardInterrupt):
        export(made, old)
    bank.read_bank(old)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_mistakes_are_refused(made, tmp_path, capsys):
    record = json.loads((made / "one.readout.json").read_text())
    record["forms"]["A"]["form"]["unsupported_terms"] = ["s(theta,se,linear)"]
    write_record(record, tmp_path / "record.json")
    records = [str(tmp_path / "record.json"), str(made / "two.readout.json")]
    same = [str(made / "one.parameters.parquet")] * 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for out, changed, message in [
        ("new", {"readout-records": records}, "read-out 'form': term s(theta,se,linear) cannot"),
        ("new", {"parameters": same}, "occurs in two benchmarks"),
        ("new", {"terms": same[:1]}, "--terms: 1 given for 2 benchmarks"),
        ("full", {}, "is not empty and no bank"),
    ]:
        assert export(made, tmp_path / out, **changed) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "full" / "thesis.txt").exists()
