"""From measures of checkpoints to tables and the 360 page, good input and bad."""

from __future__ import annotations

import base64
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from itemwise.analyses.suite import THEMES, load
from itemwise.cli.main import main
from itemwise.paths import ROOT
from itemwise.report.profile import shown_groups
from itemwise.report.profile_figures import share_of_page, token_axis
from itemwise.tables.contract import contract, read_table, write_table
from itemwise.tables.files import write_record
from itemwise.trajectories.accuracies import read_accuracies, wilson
from itemwise.trajectories.axis import Axis
from itemwise.trajectories.folder import NEEDED, OPTIONAL, read_folder

STEPS = [0, 1000, 2000, 4000, 8000, 16000, 32000, 64000]
MODELS = ["org/a", "org/b"]
ANALYSES = {
    "mmlu": "acc", "arc_challenge": "acc_norm", "truthfulqa": "acc", "toxigen": "toxic_rate",
    "crowspairs": "pct_stereotype", "memorization": "token_match", "perplexity": "bits_per_byte",
    "longeval_lines": "accuracy", "mt_bench": "score",
}  # fmt: skip
"""One row of the suite for each theme, with its headline."""
TABLES = {*NEEDED, *OPTIONAL} - {"training_curves", "sequence_scores", "sequence_correlations"}
"""What is made of measures alone, without training logs and units."""
MISSING = ("org/b", "step8000", "toxigen")
BATCH = 2_000_000


def measures(model: str, step: int, analysis: str, rng, groups=("", "history", "law")):
    """Return the measures of one checkpoint and analysis, rising with training."""
    value = 0.3 + 0.06 * np.log10(step + 100) + rng.normal(0, 0.005)
    value += 0.1 * (model == MODELS[1] and step > 4000)
    frame = pd.DataFrame({"group": groups if analysis == "mmlu" else [""]})
    return frame.assign(
        model=model, revision=f"step{step}", step=step, tokens=float(step * BATCH),
        analysis=analysis, metric=ANALYSES[analysis], value=value, se=0.01,
        lower=value - 0.02, upper=value + 0.02, n=2000, seed=1,
    )  # fmt: skip


def write_measures(folder, drop=()):
    """Write measures, one file a checkpoint, in the folders of profile-checkpoints."""
    rng = np.random.default_rng(1)
    for model in MODELS:
        for step in STEPS:
            parts = [measures(model, step, analysis, rng) for analysis in ANALYSES]
            table = pd.concat(parts, ignore_index=True)
            dropped = [name for *place, name in drop if place == [model, f"step{step}"]]
            table = table[~table["analysis"].isin(dropped)]
            write_table(table, folder / model / f"step{step}" / "all.parquet", "measures")
    return folder


def write_few(path, **changes):
    """Write the measures of one run and two analyses to one file, with changes."""
    rng = np.random.default_rng(1)
    parts = [measures("org/a", step, name, rng) for name in ("mmlu", "mt_bench") for step in STEPS]
    write_table(pd.concat(parts, ignore_index=True).assign(**changes), path, "measures")
    return path


def write_checkpoints(path, extra=("org/b", "step128000", 128000)):
    """Write the table of checkpoints, one of which was never measured."""
    rows = [(model, f"step{step}", step) for model in MODELS for step in STEPS]
    table = pd.DataFrame([*rows, extra], columns=["model", "revision", "step"])
    table = table.assign(tokens=table["step"] * float(BATCH), dtype=None)
    write_table(table, path, "checkpoints")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a run's folder with tables and page."""
    run = tmp_path_factory.mktemp("run")
    folder = write_measures(run / "profile_checkpoints", drop=[MISSING])
    model, revision, analysis = MISSING
    write_record(
        {"model": model, "revision": revision, "failures": {analysis: "no such classifier"}},
        folder / model / revision / "record.json",
    )
    checkpoints = write_checkpoints(run / "checkpoints.parquet")
    out = run / "build_trajectories" / "trajectories"
    words = ["build-trajectories", "--measures", folder, "--checkpoints", checkpoints, "--out", out]
    assert main([str(word) for word in words]) == 0
    words = ["write-profile", "--trajectories", out, "--title", "Two runs"]
    assert main([str(w) for w in [*words, "--out", run / "profile.html"]]) == 0
    return run


@pytest.fixture(scope="module")
def page(built):
    return (built / "profile.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables(built):
    return read_folder(built / "build_trajectories" / "trajectories")


def test_every_table_is_written_twice_and_equal(built):
    folder = built / "build_trajectories" / "trajectories"
    for name in TABLES:
        table = read_table(folder / f"{name}.parquet", name)
        csv = pd.read_csv(folder / f"{name}.csv", keep_default_na=False, na_values=[""])
        assert list(csv) == list(table)
        numbers = [c for c in table if contract()[name].columns[c].type == "number"]
        assert np.allclose(csv[numbers].astype(float), table[numbers], equal_nan=True)


def test_record_names_every_gap(tables):
    _, record = tables
    model, revision, analysis = MISSING
    gaps = {(gap["model"], gap["revision"]): gap for gap in record["gaps"]}
    assert set(gaps) == {(model, revision), ("org/b", "step128000")}
    assert gaps[model, revision]["analyses"] == [analysis]
    assert gaps[model, revision]["reasons"] == {analysis: "no such classifier"}
    assert not gaps[model, revision]["whole"]
    assert gaps["org/b", "step128000"]["whole"]
    assert len(gaps["org/b", "step128000"]["analyses"]) == len(ANALYSES)
    assert record["axis"] == "tokens"


def test_tables_hold_what_was_put_in(tables):
    found, _ = tables
    rows = len(MODELS) * len(STEPS) * (len(ANALYSES) + 2) - 1
    assert len(found["trajectories"]) == rows
    final = found["trajectory_measures"].query("measure == 'gain' and group == ''")
    truth = 0.06 * (np.log10(64100) - 2)
    first = final[final["model"] == MODELS[0]]
    assert ((first["lower"] < truth) & (truth < first["upper"])).mean() >= 0.8
    parted = found["run_comparisons"].query("group == ''")
    assert (parted["final_upper"] < 0).all()
    # The jump of the second run lies between 4,000 and 8,000 steps.
    assert parted["parted_at"].between(1e9, 20e9).all()


def test_page_has_every_theme_its_gap_and_its_tables(page):
    for theme in THEMES:
        assert f'alt="trajectories: {theme}"' in page
    assert "no such classifier" in page
    text = re.sub(r"\s+", " ", re.sub("<.*?>", "", page))
    assert "No toxigen at 1 checkpoint of org/b: step8000" in text
    assert "Nothing at all at 1 checkpoint of org/b: step128000" in text
    for part in ("final checkpoint", "change points", "differences of runs", "correlations"):
        assert f'alt="{part}' in page
    figures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    images = [base64.b64decode(data, validate=True) for data in figures]
    assert len(images) == len(THEMES) + 4
    assert all(image.startswith(b"\x89PNG") and len(image) > 5000 for image in images)
    assert len(set(figures)) == len(figures)
    assert page.count("<details>") >= len(THEMES) + 4  # a table behind each figure
    assert "@media print" in page


def test_page_loads_nothing_from_elsewhere_and_its_links_lead_somewhere(page, built):
    assert len(page) < 10e6
    assert not re.findall(r"<(?:script|link|iframe|object|embed)\b", page)
    assert not re.findall(r"url\((?!data:)|@import|https?://", page)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    links = set(re.findall(r'href="([^"]*)"', page))
    anchors = {link[1:] for link in links if link.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]*)"', page))
    files = {link for link in links if not link.startswith("#")}
    assert len(files) == 2 * len(TABLES) + 1
    assert all((built / link).is_file() for link in files)


def test_final_values_are_those_of_the_last_checkpoint(page, tables):
    found, _ = tables
    last = found["trajectories"].query("step == 64000 and analysis == 'mt_bench'")
    row = re.search(
        r'<tr><td class="text">mt_bench</td><td>\d.*?</tr>', page.split('id="final"')[1]
    )
    cells = re.findall(r"<td>(\d\.\d+) ", row[0])
    expected = last.set_index("model")["value"][MODELS]
    assert cells == [f"{value:.3f}" for value in expected]


def test_one_checkpoint_alone_makes_a_page_without_curves(itemwise, tmp_path):
    frame = measures("m", 1000, "mmlu", np.random.default_rng(2))
    write_table(frame, tmp_path / "one.parquet", "measures")
    out = tmp_path / "t"
    assert itemwise("build-trajectories", "--measures", tmp_path / "one.parquet",
                    "--out", out).status == 0  # fmt: skip
    assert not (out / "trajectory_curves.parquet").exists()
    page = tmp_path / "p.html"
    assert itemwise("write-profile", "--trajectories", out, "--out", page).status == 0
    text = page.read_text(encoding="utf-8")
    assert "have fewer than 4 checkpoints and no curve" in text
    assert 'id="final"' in text
    assert 'id="changes"' not in text


def test_without_tokens_the_axis_is_the_step_and_the_page_says_so(itemwise, tmp_path):
    file = write_few(tmp_path / "m.parquet", tokens=np.nan)
    done = itemwise("build-trajectories", "--measures", file, "--out", tmp_path / "t")
    assert done.status == 0
    note = "training tokens are not known of org/a; drawn against training steps"
    assert note in done.err
    found, record = read_folder(tmp_path / "t")
    assert record["axis"] == "step"
    assert found["trajectory_curves"]["at"].max() == pytest.approx(64000)
    assert "gain_per_thousand_steps" in set(found["trajectory_measures"]["measure"])
    page = tmp_path / "p.html"
    itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page)
    assert note[1:] in page.read_text(encoding="utf-8")


def test_checkpoint_without_a_place_is_left_out_by_name(itemwise, tmp_path):
    path = write_few(tmp_path / "m.parquet")
    table = read_table(path, "measures")
    table.loc[table["revision"] == "step4000", ["tokens", "step"]] = np.nan
    write_table(table, path, "measures")
    done = itemwise("build-trajectories", "--measures", path, "--out", tmp_path / "t")
    assert "left out, for their tokens is not known: org/a@step4000" in done.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": np.nan}, "column 'value' is null in every row"),
        ({"tokens": np.nan, "step": np.nan}, "columns 'tokens' and 'step' are empty"),
    ],
)
def test_nothing_to_draw_is_refused(itemwise, tmp_path, changes, message):
    file = write_few(tmp_path / "m.parquet", **changes)
    done = itemwise("build-trajectories", "--measures", file, "--out", tmp_path / "t")
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "t").exists()


def test_same_measure_in_two_files_is_refused_by_both_names(itemwise, tmp_path):
    frame = measures("m", 1000, "mmlu", np.random.default_rng(2))
    for name in "ab":
        write_table(frame, tmp_path / f"{name}.parquet", "measures")
    done = itemwise("build-trajectories", "--measures", tmp_path, "--out", tmp_path / "t")
    assert done.status == 2
    assert f"{tmp_path}/b.parquet: model 'm', revision 'step1000', analysis 'mmlu'" in done.err
    assert f"is in {tmp_path}/a.parquet too; keep one of the two files" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --measures, --accuracies or --scores"),
        (["--measures", "."], "holds no parquet files"),
        (["--measures", "m", "--models", "other"], "--models other: there is nothing of it"),
        (["--measures", "m", "--compare", "org/a"], "must be FIRST=SECOND of the models"),
        (["--scores", "s"], "--scores: needs --checkpoints"),
        (["--accuracies", "x", "--tokens-per-step", "many"], "must be [MODEL=]TOKENS"),
        (["--measures", "m", "--out", "m"], "is not empty and no folder of trajectories"),
    ],
)
def test_wrong_options_say_what_to_do(itemwise, tmp_path, monkeypatch, words, message):
    frame = measures("org/a", 1000, "mmlu", np.random.default_rng(2))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if "m" in words:
        write_table(frame, tmp_path / "m/mmlu.parquet", "measures")
    if "x" in words:
        frame.to_parquet(tmp_path / "x")
    words = ["empty" if word == "." else word for word in words]
    out = [] if "--out" in words else ["--out", "t"]
    done = itemwise("build-trajectories", *words, *out)
    assert done.status == 2
    assert message in done.err


def test_scores_by_a_bank_become_trajectories(itemwise, tmp_path):
    rows = [(f"org/a@step{step}", 20 + i, 0.1 * i) for i, step in enumerate(STEPS)]
    scores = pd.DataFrame(rows, columns=["subject", "predicted", "theta"]).assign(
        benchmark="arc", form="A", readout="form", n_items=50, n_right=range(10, 10 + len(STEPS)),
        se=0.2, extrapolated=0,
        person_fit=np.nan, level=0.9, half_lower=3, half_upper=3,
    )  # fmt: skip
    scores = scores.assign(lower=scores["predicted"] - 3, upper=scores["predicted"] + 3)
    write_table(scores, tmp_path / "s.parquet", "scores")
    checkpoints = write_checkpoints(tmp_path / "c.parquet")
    words = ["--checkpoints", checkpoints, "--models", "org/a", "--out", tmp_path / "t"]
    done = itemwise("build-trajectories", "--scores", tmp_path / "s.parquet", *words)
    assert done.status == 0, done.err
    table = read_folder(tmp_path / "t")[0]["trajectories"]
    assert set(table["metric"]) == {"predicted", "theta", "right"}
    right = table[table["metric"] == "right"]
    assert right["value"].tolist() == pytest.approx([(10 + i) / 50 for i in range(len(STEPS))])
    assert right["se"].iloc[0] == pytest.approx((0.2 * 0.8 / 50) ** 0.5)
    assert set(table["group"]) == {"arc"}
    full = table[table["metric"] == "predicted"]
    # 90 % intervals of +-3 are 95 % intervals of +-3 * 1.960 / 1.645.
    assert (full["upper"] - full["value"]).tolist() == pytest.approx(
        [3 * 1.95996 / 1.64485] * len(STEPS), rel=1e-4
    )
    # The only benchmark has one panel; several have one each, beside that of their mean.
    page = tmp_path / "p.html"
    assert itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page).status == 0
    assert re.findall(r"<strong>(bank[^<]*)", page.read_text()) == [
        "bank: arc", "bank: arc, right of 50 items"
    ]  # fmt: skip
    assert shown_groups("bank", pd.Series(["b", "", "a"])) == ["", "b", "a"]
    assert shown_groups("bank", pd.Series(["", "a"])) == ["a"]
    assert shown_groups("mmlu", pd.Series(["law", ""])) == [""]
    strange = scores.assign(subject="org/z@step9")
    write_table(strange.head(1), tmp_path / "s.parquet", "scores")
    done = itemwise("build-trajectories", "--scores", tmp_path / "s.parquet", *words)
    assert "'org/z@step9' is no checkpoint" in done.err


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        ((37e3, 380e3), ["50k", "100k", "200k"]),
        ((2e9, 12e9), ["2B", "5B", "10B"]),
        ((1.2e9, 1.7e9), ["1.2B", "1.7B"]),
        ((1e6, 1e9), ["1M", "10M", "100M", "1B"]),
    ],
)
def test_an_axis_has_labels_within_a_tenfold(span, labels):
    figure, axes = plt.subplots()
    low, high = np.log10(span)
    token_axis(axes, Axis("tokens", low - 0.5, "tokens"), (low, high))
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    plt.close(figure)


def test_an_axis_that_is_no_training_has_a_name_of_its_own(itemwise, tmp_path):
    """And the page says what the list says of its checkpoints."""
    measured = write_few(tmp_path / "m.parquet", tokens=np.nan, model="org/a")
    checkpoints = write_checkpoints(tmp_path / "c.parquet")
    table = read_table(checkpoints, "checkpoints").assign(note="weights mixed with noise")
    write_table(table, checkpoints, "checkpoints")
    done = itemwise("build-trajectories", "--measures", measured, "--models", "org/a",
                    "--checkpoints", checkpoints, "--axis-label", "trained share, %",
                    "--out", tmp_path / "t")  # fmt: skip
    assert done.status == 0, done.err
    page = tmp_path / "p.html"
    assert itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page).status == 0
    text = page.read_text()
    assert "Against trained share, %" in text
    assert "training steps" not in text
    assert "Weights mixed with noise." in text


def test_figures_are_shown_as_wide_as_they_were_drawn():
    figure = plt.figure(figsize=(4.9, 2))
    assert share_of_page(figure) == "50%"
    plt.close(figure)


def test_binomial_errors_by_hand():
    lower, upper = wilson(np.array([0.0, 0.5]), np.array([10.0, 100.0]))
    assert (lower[0], upper[0]) == pytest.approx((0, 0.27753), abs=1e-5)
    assert (lower[1], upper[1]) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    tasks = pd.DataFrame(
        {"model": "m", "step": 3, "benchmark": "mmlu", "item": ["a", "b"], "response": [0.2, 0.6],
         "n_items": [100, 400], "condition": "five-shot"}
    )  # fmt: skip
    rows = read_accuracies(tasks, {"": 7.0}, "x").set_index("group")
    assert rows.loc["", "value"] == pytest.approx(0.4)
    assert rows.loc["", "se"] == pytest.approx(np.sqrt(0.2 * 0.8 / 100 + 0.6 * 0.4 / 400) / 2)
    assert rows.loc["", ["analysis", "revision", "tokens", "n"]].tolist() == [
        "mmlu 5-shot", "step3", 21, 500,
    ]  # fmt: skip
    assert rows.loc["a", "se"] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": 1.2}, "row 1: 'response' must be an accuracy"),
        ({"item": "a"}, "row 2: this model, step and task occur twice"),
        ({"n_items": None}, "lacks the column n_items"),
    ],
)
def test_wrong_accuracies_are_refused(itemwise, tmp_path, change, message):
    frame = pd.DataFrame({"model": "m", "step": 1, "benchmark": "b", "item": ["a", "b"],
                          "response": 0.5, "n_items": 10})  # fmt: skip
    frame = frame.drop(columns="n_items") if "n_items" in change else frame.assign(**change)
    frame.to_parquet(tmp_path / "x.parquet")
    done = itemwise("build-trajectories", "--accuracies", tmp_path / "x.parquet",
                    "--out", tmp_path / "t")  # fmt: skip
    assert done.status == 2
    assert message in done.err


def test_published_trajectories_of_pythia(itemwise, real_data, tmp_path):
    """Two real runs: the tables, the tokens of other batch sizes, and a page."""
    source = real_data / "open" / "pythia-checkpoints.parquet"
    suite = ROOT / "benchmarks" / "pythia-suite.csv"
    models = ["pythia-160m", "pythia-12b", "pythia-1b-0.5MtokBS"]
    frame = pd.read_parquet(source)
    frame = frame[frame["model"].isin(models)]
    frame = frame[frame["item"].isin(["arc_easy", "lambada_openai", "winogrande"])]
    frame.to_parquet(tmp_path / "p.parquet")
    done = itemwise(
        "build-trajectories", "--accuracies", tmp_path / "p.parquet", "--tokens-per-step", 2**21,
        f"{models[2]}={2**19}", "--suite", suite, "--models", *models,
        "--compare", f"{models[0]}={models[1]}", "--out", tmp_path / "t",
    )  # fmt: skip
    assert done.status == 0, done.err
    found, record = read_folder(tmp_path / "t")
    table = found["trajectories"]
    ends = table.groupby("model")["tokens"].max()
    assert ends["pythia-12b"] == 143_000 * 2**21
    assert ends[models[2]] == pytest.approx(ends["pythia-12b"], rel=0.01)
    raw = frame.query("model == 'pythia-12b' and step == 143000 and condition == 'zero-shot'")
    ours = table.query("model == 'pythia-12b' and step == 143000").set_index("analysis")["value"]
    for row in raw.itertuples():
        assert ours[f"{row.item} 0-shot"] == pytest.approx(row.response)
    parted = found["run_comparisons"].set_index(["first", "second", "analysis"])
    assert parted.loc[("pythia-160m", "pythia-12b", "lambada_openai 0-shot"), "final_upper"] < -0.2
    gaps = {gap["revision"] for gap in record["gaps"] if gap["model"] == "pythia-12b"}
    assert gaps == {f"step{step}" for step in [0, *(2**i for i in range(10)), 1000]}
    page = tmp_path / "p.html"
    done = itemwise("write-profile", "--trajectories", tmp_path / "t", "--suite", suite,
                    "--out", page)  # fmt: skip
    assert done.status == 0
    assert page.stat().st_size < 10e6
    json.loads((tmp_path / "t" / "trajectories.json").read_text())


def test_analyses_of_the_tests_are_headlines_of_the_suite():
    stated = load().set_index("name")
    assert {name: stated.loc[name, "metric"] for name in ANALYSES} == ANALYSES
    assert set(stated.loc[list(ANALYSES), "theme"]) == set(THEMES)
