"""The bank: scores as R does, moves anywhere, and is whole or refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from banks import FORMULAS, build, export
from record_keys import check_record

from itemwise.bank import folder as on_disk
from itemwise.bank.card import evaluation_text
from itemwise.cli.main import main
from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.readout.tabulated import Readout
from itemwise.responses.matrix import Responses, read_responses
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import write_record

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


def test_less_known_abilities_widen_as_much_at_the_ends_of_the_training_range():
    """By hand: the linear predictor of theta rises by 15 a unit; z of 90 % is 1.645."""
    line = [
        ("intercept", "intercept", "", "", 1, None, None, 50.0),
        ("smooth", "s", "theta", "", 1, -2.0, None, -30.0),
        ("smooth", "s", "theta", "", 2, 2.0, None, 30.0),
        ("range", "theta", "theta", "", 1, -2.0, 2.0, 0.0),
        ("scale", "scale", "predicted", "", 1, 0.0, None, 1.0),
        ("quantile", "quantile", "", "", 1, 0.9, None, 3.0),
    ]
    readout = Readout("x", pd.DataFrame(line, columns=COLUMNS))
    at = pd.DataFrame({"theta": [0.0, 1.99, 2.0, 2.5, -9.0]})
    wide = readout.widen(readout.predict(at), at, {"theta": np.full(5, 0.5)})
    half = np.minimum(wide["upper"] - wide["predicted"], 100)
    np.testing.assert_allclose(half, np.hypot(3, 1.6449 * 15 * 0.5), rtol=1e-4)


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


@pytest.fixture(scope="module")
def folder(made):
    assert export(made, made / "bank") == 0
    return made / "bank"


@pytest.fixture(scope="module")
def smooth(made):
    """Return a bank without answers of others: it scores by R's smooths."""
    assert export(made, made / "smooth", more=["--without-answers"]) == 0
    return made / "smooth"


BY_R = """
root <- Sys.getenv("ITEMWISE_ROOT")
source(file.path(root, "R/itemwise/load.R"))
source(file.path(root, "R/itemwise/tests/testthat/helper-readout.R"))
for (asks in jsonlite::read_json(Sys.getenv("ASKED"))) local({
table <- function(what, name) read_table(paste0(asks$made, ".", what, ".parquet"), name)
known <- function(name) {
  found <- table(name, name)
  set <- if (name == "test") found$set else "train"
  fold <- if (name == "test") NA else found$fold
  data.frame(subject = found$subject, full_score = found$full_score, set, fold)
}
abilities <- rbind(table("forms", "abilities"), table("tested", "abilities"))
items <- table("selection", "selection")
items <- items$item[items$form == "A"]
parameters <- table("parameters", "parameters")
data <- Reduce(merge, list(
  abilities[abilities$form == "A", c("subject", "theta", "se")],
  rbind(known("training"), known("test"))
))
x <- responses_matrix(table("responses", "responses"))[, items]
parameters <- parameters[match(items, parameters$item), ]
made <- add_form_features(in_set(data, "train"), x, parameters)
fit <- fit_readout(made$data, stats::as.formula(asks$formula))
others <- in_set(data, "test")
answers <- fill_expected(x[others$subject, ], parameters, others$theta)
others$linear <- predict_ridge(made$fit, answers)
others$sub_score <- 100 * rowMeans(answers)
write.csv(predict_others(fit, others), asks$out, row.names = FALSE)
})
"""
"""Predicts the test subjects in R, by the models and not by their tables."""


@pytest.fixture(scope="module")
def by_r(made, rscript):
    """Return what R predicts of each benchmark by each read-out."""
    kinds = [(name, readout) for name in ("one", "two") for readout in FORMULAS]
    asked = [
        {"made": str(made / name), "formula": FORMULAS[readout],
         "out": str(made / f"{name}.{readout}.csv")}
        for name, readout in kinds
    ]  # fmt: skip
    (made / "asked.json").write_text(json.dumps(asked))
    done = rscript(BY_R, ASKED=str(made / "asked.json"))
    assert done.returncode == 0, done.stderr
    return {kind: pd.read_csv(asks["out"]) for kind, asks in zip(kinds, asked, strict=True)}


@pytest.mark.parametrize(
    ("known", "said", "unsaid"),
    [
        ({"task": "t", "prompt": "p"}, ["evaluate-model --lm MODEL"], "--samples logs"),
        ({"task": "t"}, ["score-model --bank BANK --samples", "knows the task t "], "frozen"),
        ({"task": ["t", None]}, ["neither the tasks nor the prompts", "list-docu"], "evaluate-mod"),
        ({}, ["neither the tasks nor the prompts", "--results"], "evaluate-model"),
    ],
    ids=["prompts", "tasks", "some tasks", "nothing"],
)
def test_the_card_advises_only_what_the_bank_can_do(known, said, unsaid):
    items = pd.DataFrame({"item": ["a", "b"]}).assign(**known)
    text = "\n".join(evaluation_text(items, pd.DataFrame({"item": ["a", "b"]})))
    for words in said:
        assert words in text
    assert unsaid not in text


@pytest.mark.parametrize("readout", FORMULAS)
@pytest.mark.parametrize("name", ["one", "two"])
def test_python_scores_as_mgcv_does(name, readout, made, folder, by_r):
    """Test rows, which the model of all training subjects predicts: features and read-out."""
    theirs = by_r[name, readout]
    bought = on_disk.read_bank(folder)
    responses = read_responses(made / f"{name}.responses.parquet")
    features = bought.features(responses, name, "A").set_index("subject", drop=False)
    features = features.loc[theirs["subject"]].reset_index(drop=True)
    np.testing.assert_allclose(features["linear"], theirs["linear"], atol=1e-6)
    found = bought.readout(name, "A", readout).predict(features)
    for column in ("predicted", "lower", "upper"):
        np.testing.assert_allclose(found[column], theirs[column], atol=1e-3)
    # What assess_readout wrote of them is what the bank says of the complete forms.
    assessed = read_table(made / "test.parquet", "reconstructions")
    assessed = assessed[(assessed["benchmark"] == name) & (assessed["readout"] == readout)]
    assessed = assessed[assessed["form"] == "A"].set_index("subject").loc[theirs["subject"]]
    np.testing.assert_allclose(assessed["predicted"], found["predicted"], atol=1e-9)


def test_only_the_assessment_knows_test_subjects(made, folder):
    test = set(read_table(made / "one.test.parquet", "test")["subject"])
    for file, table in (("readout", "reconstructions"), ("features", "features")):
        written = set(read_table(made / f"one.{file}.parquet", table)["subject"])
        assert written
        assert not written & test
    for file, table in (("test", "reconstructions"), ("test.features", "features")):
        assert set(read_table(made / f"{file}.parquet", table)["subject"]) == test
    assert json.loads((made / "test.json").read_text())["n_subjects"] == len(test)
    card = on_disk.read_bank(folder).card["benchmarks"]["one"]["accuracy"]["form"]
    assert set(card) == {"train", "test"}


def test_intervals_hold_the_uncertainty_of_items(made, smooth):
    """half^2 = (what the read-out does not know)^2 + (z df/dtheta error)^2."""
    bought = on_disk.read_bank(smooth)
    assert 0 < bought.card["benchmarks"]["one"]["calibration_error"] < 0.2
    assert "the uncertainty of the item parameters makes" in (smooth / "README.md").read_text()
    responses = read_responses(made / "one.responses.parquet")
    features = bought.features(responses, "one", "A")
    features = features[features["complete"]].reset_index(drop=True)
    readout = bought.readout("one", "A", "form")
    plain = readout.predict(features)
    at = features["theta"].clip(*np.add(readout.span("theta"), (0.05, -0.05)))
    sides = [
        readout.predict(features.assign(theta=at + step))["predicted"] for step in (0.05, -0.05)
    ]
    slope = (sides[0] - sides[1]) / 0.1
    half = np.hypot(
        readout.half_width(plain["predicted"]), 1.6448536 * slope * features["se_calibration"]
    )
    found = bought.score(responses.select_subjects(features["subject"]))
    inside = found["upper"] < 100
    np.testing.assert_allclose(
        (found["upper"] - found["predicted"])[inside], half[inside], rtol=1e-6
    )
    np.testing.assert_allclose(found["se"], np.hypot(features["se"], features["se_calibration"]))
    bare = dataclasses.replace(bought, parameters=bought.parameters.drop(columns=["cov_ad"])).score(
        responses.select_subjects(features["subject"])
    )
    assert (bare["upper"] <= found["upper"]).all()
    np.testing.assert_allclose(bare["upper"], plain["upper"])


def test_without_answers_incomplete_forms_go_through_ability(made, smooth):
    bought = on_disk.read_bank(smooth)
    assert bought.reference is None
    assert "process" not in set(bought.terms["readout"])
    assert not (smooth / "readout" / "reference.parquet").exists()
    assert "`ability` for incomplete ones" in (smooth / "README.md").read_text()
    table = bought.score(read_responses(made / "one.responses.parquet"))
    complete = table["n_items"] == 12
    assert set(table["readout"][complete]) == {"form"}
    assert set(table["readout"][~complete]) == {"ability"}
    assert (~complete).any()


def test_the_process_scores_complete_and_incomplete_forms(made, folder):
    bought = on_disk.read_bank(folder)
    responses = read_responses(made / "one.responses.parquet")
    table = bought.score(responses)
    assert set(table["benchmark"]) == {"one"}
    assert set(table["readout"]) == {"process"}
    assert (table["n_items"] < 12).any()
    # What assess_readout wrote of the test models is what the bank says of them, but that it
    # opens intervals of models beyond the calibration's.
    assessed = read_table(made / "test.parquet", "reconstructions")
    assessed = assessed[(assessed["benchmark"] == "one") & (assessed["readout"] == "process")]
    assessed = assessed[assessed["form"] == "A"].set_index("subject")
    found = table.set_index("subject").loc[assessed.index]
    np.testing.assert_allclose(found["predicted"], assessed["predicted"], atol=1e-9)
    inside = found["extrapolated"] == 0
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found["lower"][inside], assessed["lower"][inside], atol=1e-9)
    # No name of a training model goes with the bank.
    names = set(read_table(made / "one.training.parquet", "training")["subject"])
    for path in folder.rglob("*.parquet"):
        for values in pd.read_parquet(path).select_dtypes(["object", "string"]).values.T:
            assert not names & set(values)
    stranger = Responses(np.array(["m"], object), np.array(["x"], object), np.ones((1, 1), "int8"))
    with pytest.raises(UserError, match="hold no item of form 'A'"):
        bought.score(stranger)


def both(made):
    """Return the answers to both benchmarks."""
    first, second = (read_responses(made / f"{name}.responses.parquet") for name in ("one", "two"))
    assert list(first.subjects) == list(second.subjects)
    return Responses(first.subjects, np.concatenate([first.items, second.items]),
                     np.hstack([first.matrix, second.matrix]))  # fmt: skip


def test_the_mean_of_all_is_what_the_joint_process_says(made, folder):
    bought = on_disk.read_bank(folder)
    assert bought.card["joint"]
    assert bought.card["joint_left_out"] is None
    assert (
        "is rebuilt by `joint`, for models that answered items"
        in (folder / "README.md").read_text()
    )
    rows = dict(iter(bought.reference[bought.reference["form"] == "A"].groupby("benchmark")))
    known = read_table(made / "one.training.parquet", "training")[["subject", "full_score"]]
    other = read_table(made / "two.training.parquet", "training")[["subject", "full_score"]]
    # Who is the same in both is known by number alone.
    pairs = rows["one"].merge(rows["two"], on="row")[["full_score_x", "full_score_y"]]
    expected = known.merge(other, on="subject")[["full_score_x", "full_score_y"]]
    order = ["full_score_x", "full_score_y"]
    np.testing.assert_allclose(pairs.sort_values(order), expected.sort_values(order))
    table = bought.score(both(made))
    overall = table[table["benchmark"] == "overall"].set_index("subject")
    assert set(overall["readout"]) == {"joint"}
    assessed = read_table(made / "test.parquet", "reconstructions")
    assessed = assessed[(assessed["benchmark"] == "overall") & (assessed["form"] == "A")]
    assessed = assessed.set_index("subject")
    assert set(assessed["readout"]) == {"joint"}
    found = overall.loc[assessed.index]
    assert len(found) == 50
    np.testing.assert_allclose(found["predicted"], assessed["predicted"], atol=1e-9)
    inside = found["extrapolated"] == 0
    np.testing.assert_allclose(found["upper"][inside], assessed["upper"][inside], atol=1e-9)
    # Some answered a part: they too have a mean, and the number of their answers is told.
    assert (found["n_items"] < 24).any()
    assert len(overall) == 200
    part = bought.part(["one"])
    assert set(part.score(both(made))["benchmark"]) == {"one"}
    only = both(made).select_items(bought.form_items("one"), "x")
    assert set(bought.score(only)["benchmark"]) == {"one"}


def test_a_mean_without_answers_needs_smooths_and_the_card_says_so(made, smooth):
    bought = on_disk.read_bank(smooth)
    assert not bought.card["joint"]
    assert "joint" not in set(bought.terms["readout"])
    assert "which this bank leaves out" in (smooth / "README.md").read_text()
    assert set(bought.score(both(made))["benchmark"]) == {"one", "two"}


def test_benchmarks_that_share_too_few_models_are_left_out_and_it_is_said(made, tmp_path):
    for name, table in (("training", "training"), ("forms", "abilities")):
        rows = read_table(made / f"two.{name}.parquet", table)
        shared = rows["subject"].isin(sorted(rows["subject"].unique())[:10])
        rows["subject"] = rows["subject"].where(shared, "other/" + rows["subject"])
        pq.write_table(
            pa.Table.from_pandas(rows, preserve_index=False), tmp_path / f"{name}.parquet"
        )
    files = {
        "training": [made / "one.training.parquet", tmp_path / "training.parquet"],
        "abilities": [made / "one.forms.parquet", tmp_path / "forms.parquet"],
    }
    for option in ("parameters", "selection"):
        name = option if option == "parameters" else "selections"
        files[name] = [made / f"{benchmark}.{option}.parquet" for benchmark in ("one", "two")]
    words = ["fit-joint-process", "--benchmarks", "one", "two"]
    for option, paths in files.items():
        words += [f"--{option}", *map(str, paths)]
    terms, record = str(tmp_path / "terms.parquet"), str(tmp_path / "joint.json")
    words += ["--out", str(tmp_path / "joint.parquet"), "--out-terms", terms, "--record", record]
    assert main(words) == 0
    said = json.loads((tmp_path / "joint.json").read_text())
    reason = "10 training models have every benchmark (one 150, two 150), and it needs at least 20."
    assert said["left_out"] == f"The joint read-out is left out: {reason}"
    assert said["targets"] == {}
    check_record("fit_joint_process", said)
    given = {"joint-terms": [terms], "joint-record": [record]}
    assert export(made, tmp_path / "bank", **given) == 0
    bought = on_disk.read_bank(tmp_path / "bank")
    assert not bought.card["joint"]
    assert reason in (tmp_path / "bank" / "README.md").read_text()
    assert set(bought.score(both(made))["benchmark"]) == {"one", "two"}


def test_joint_mistakes_are_refused(made, tmp_path, capsys):
    def paths(what, names=("one", "two")):
        return [str(made / f"{name}.{what}.parquet") for name in names]

    given = {"--training": paths("training"), "--parameters": paths("parameters"),
             "--abilities": paths("forms"), "--selections": paths("selection")}  # fmt: skip
    for names, changed, message in [
        (["one"], {name: files[:1] for name, files in given.items()}, "needs two or more"),
        (["one", "two"], {"--training": paths("training")[:1]}, "--training: 1 given for 2"),
        (["one", "two"], {"--form": ["Z"]}, "no form 'Z' of benchmark 'one'; choose another"),
        (["one", "two"], {"--fold-abilities": paths("fold-forms")}, "give both, or neither"),
    ]:
        words = ["fit-joint-process", "--benchmarks", *names]
        words += ["--out", str(tmp_path / "out.parquet")]
        words += ["--out-terms", str(tmp_path / "terms.parquet")]
        for option, values in {**given, **changed}.items():
            words += [option, *values]
        assert main(words) == 2
        assert message in capsys.readouterr().err
        assert not list(tmp_path.iterdir())


def joint_smooths(made, folder):
    """Fit R's joint smooths; return their options."""
    files = {"features": "features", "selections": "selection"}
    command = ["Rscript", "--vanilla", str(ROOT / "R/fit_joint_readout.R")]
    for option, file in files.items():
        paths = [str(made / f"{name}.{file}.parquet") for name in ("one", "two")]
        command += [f"--{option}", ",".join(paths)]
    command += ["--formula", "full_score ~ s(own.linear, k = 5) + s(other.theta, k = 5)"]
    command += ["--overall-formula", "full_score ~ s(each.theta, k = 5)"]
    terms, record = str(folder / "smooths.terms.parquet"), str(folder / "smooths.json")
    command += ["--out", str(folder / "smooths.parquet"), "--out-terms", terms, "--record", record]
    subprocess.run(command, check=True)
    return ["--joint-smooths-terms", terms, "--joint-smooths-record", record]


def test_joint_smooths_rebuild_the_mean_of_complete_forms(made, folder, tmp_path):
    more = joint_smooths(made, tmp_path)
    assert export(made, tmp_path / "bare", more=[*more, "--without-answers"]) == 0
    bought = on_disk.read_bank(tmp_path / "bare")
    assert bought.card["joint"]
    table = bought.score(both(made))
    overall = table[table["benchmark"] == "overall"]
    assert set(overall["readout"]) == {"joint-smooths"}
    assert set(overall["n_items"]) == {24}
    # Up to format 2 they were called `joint`, and the mean `grand`; so a bank of then scores alike.
    old = tmp_path / "old"
    whole = on_disk.read_bank(folder)
    kept = whole.terms[whole.terms["readout"] != "joint"]
    smooths = bought.terms[bought.terms["readout"] == "joint-smooths"].assign(readout="joint")
    apart = whole.reference.assign(
        row=whole.reference.groupby(["benchmark", "form"]).cumcount() + 1
    )
    tables = {name: getattr(whole, name) for name in (*on_disk.TABLES, *on_disk.OPTIONAL)}
    tables |= {"terms": pd.concat([kept, smooths], ignore_index=True), "reference": apart}
    card = {key: whole.card[key] for key in ("source", "licence", "written", "benchmarks")}
    on_disk.write_bank(old, {**card, "joint": True}, tables)
    record, place = json.loads((old / "bank.json").read_text()), "readout/terms.parquet"
    terms = read_table(old / place, "terms")
    renamed = terms.assign(benchmark=terms["benchmark"].replace("overall", "grand"))
    write_table(renamed, old / place, "terms")
    record["sha256"][place] = on_disk.checksum(old / place)
    (old / "bank.json").write_text(json.dumps({**record, "format_version": 2}))
    read = on_disk.read_bank(old).score(both(made))
    theirs = read[read["benchmark"] == "overall"].reset_index(drop=True)
    assert set(theirs["readout"]) == {"joint"}
    pd.testing.assert_frame_equal(
        theirs.drop(columns="readout"), overall.reset_index(drop=True).drop(columns="readout")
    )
    of_process = read[read["benchmark"] != "overall"].reset_index(drop=True)
    now = whole.score(both(made))
    now = now[now["benchmark"] != "overall"].reset_index(drop=True)
    pd.testing.assert_frame_equal(of_process, now, atol=1e-9)


def test_a_bank_of_format_1_is_read(made, smooth, tmp_path):
    old = shutil.copytree(smooth, tmp_path / "old")
    card = json.loads((old / "bank.json").read_text())
    (old / "bank.json").write_text(json.dumps({**card, "format_version": 1}))
    responses = read_responses(made / "one.responses.parquet")
    pd.testing.assert_frame_equal(
        on_disk.read_bank(old).score(responses), on_disk.read_bank(smooth).score(responses)
    )


def test_a_moved_bank_scores_alike_and_names_no_place(made, folder, tmp_path):
    responses = read_responses(made / "two.responses.parquet")
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    before, after = (on_disk.read_bank(place).score(responses) for place in (folder, moved))
    pd.testing.assert_frame_equal(before, after)
    for path in folder.rglob("*"):
        assert path.is_dir() or str(made).encode() not in path.read_bytes()
    assert "random1" not in set(on_disk.read_bank(folder).selection["form"])
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
        on_disk.read_bank(broken)


def newer(path) -> None:
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "format_version": 99}))


def test_an_interrupted_export_leaves_the_old_bank(made, folder, tmp_path, monkeypatch):
    old = shutil.copytree(folder, tmp_path / "bank")

    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(on_disk, "write_record", fails)
    assert export(made, old) == 130
    on_disk.read_bank(old)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_mistakes_are_refused(made, tmp_path, capsys):
    record = json.loads((made / "one.readout.json").read_text())
    reason = {"s(theta,se,linear)": "too curved for a grid of 513 x 513 nodes"}
    record["forms"]["A"]["form"]["unsupported_terms"] = reason
    write_record(record, tmp_path / "record.json")
    records = [str(tmp_path / "record.json"), str(made / "two.readout.json")]
    same = [str(made / "one.parameters.parquet")] * 2
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for out, changed, message in [
        (
            "new",
            {"readout-records": records},
            "term s(theta,se,linear) cannot be tabulated: too curved",
        ),
        ("new", {"parameters": same}, "occurs in two benchmarks"),
        ("new", {"terms": same[:1]}, "--terms: 1 given for 2 benchmarks"),
        ("new", {"joint-terms": same[:1]}, "--joint-terms needs --joint-record"),
        (
            "new",
            {"joint-smooths-terms": same[:1]},
            "--joint-smooths-terms needs --joint-smooths-record",
        ),
        ("full", {}, "is not empty and no bank"),
    ]:
        assert export(made, tmp_path / out, **changed) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "full" / "thesis.txt").exists()
