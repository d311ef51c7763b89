"""The report stands alone, and says what the tables say."""

import base64
import dataclasses
import json
import re
import shutil
from contextlib import nullcontext
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from itemwise.cli.main import main
from itemwise.errors import UserError
from itemwise.irt.population import simulate_population
from itemwise.readout.accuracy import accuracy, clustered_se
from itemwise.report.content import (
    clusters,
    coverage,
    factor_rows,
    load_benchmark,
    recovery,
    screen_reasons,
    summary,
)
from itemwise.report.held_out import figure
from itemwise.report.page import SHOWN_SELECTED
from itemwise.responses.matrix import write_responses
from itemwise.responses.sets import HeldOut, Subjects, Training, write_test, write_training
from itemwise.tables.contract import read_table, write_table
from itemwise.tables.files import read_record, write_record
from itemwise.workflow.config import resolve

FORMS = ["A", "random1", "random2", "random3"]


def run_stage(*words) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a run's folder: Python stages as they are, R's tables made up."""
    run = tmp_path_factory.mktemp("results") / "made-up"
    population = simulate_population("sums", 0, 100, 30, 0.0, 0.02, seed=1)
    simulated = run / "simulate_population"
    write_responses(population.responses, simulated / "sums.parquet")
    write_table(population.parameters, simulated / "sums.parameters.parquet", "parameters")
    write_table(population.abilities, simulated / "sums.abilities.parquet", "abilities")
    built = run / "build_responses"
    run_stage(
        "build-responses", "--benchmark", "sums", "--sources", simulated / "sums.parquet",
        "--coverage", 0.5, "--out", built / "sums.parquet",
        "--out-items", built / "sums.items.parquet", "--record", built / "sums.json",
        "--out-subjects", built / "sums.subjects.parquet",
        "--out-full-scores", built / "sums.full-scores.parquet",
    )  # fmt: skip
    reasons = [f"mean 0.9{i} > 0.95" for i in range(6, 9)] + ["sd 0 <= 0.01; mean 1 > 0.95"]
    screen = pd.DataFrame({"benchmark": "sums", "item": population.responses.items})
    screen = screen.assign(n=80, mean=0.5, sd=0.5, item_total_correlation=0.4, keep=1, reason="")
    screen.loc[:3, "keep"], screen.loc[:3, "reason"] = 0, reasons
    write_table(screen, run / "screen_items" / "sums.parquet", "items")
    counts = {"sd <= 0.01": 1, "mean > 0.95": 4, "no training responses": 0}
    write_record({"excluded_by": counts}, run / "screen_items" / "sums.json")
    responses = population.responses
    kept = np.arange(30) > 3
    unknown = Subjects(responses.take(items=kept), np.full(100, np.nan))
    training = Training(**vars(unknown), fold=np.arange(100) % 5 + 1).take(np.arange(80))
    test = HeldOut(**vars(unknown), set=np.full(100, "test", dtype=object)).take(np.arange(80, 100))
    write_training(training, run / "training" / "sums.parquet")
    write_test(test, run / "test" / "sums.parquet")
    run_stage(
        "fit-irt", "--responses", run / "training/sums.parquet", "--no-standard-errors",
        "--out", run / "fit_irt/sums.parquet", "--record", run / "fit_irt/sums.json",
    )  # fmt: skip
    run_stage(
        "score-subjects", "--responses", run / "training/sums.parquet",
        "--parameters", run / "fit_irt/sums.parquet", "--out", run / "score_subjects/sums.parquet",
    )  # fmt: skip
    run_stage(
        "select-items", "--benchmark", "sums", "--parameters", run / "fit_irt/sums.parquet",
        "--abilities", run / "score_subjects/sums.parquet", "--budget", 8, "--random-forms", 3,
        "--method", "information",
        "--out", run / "select_items/sums.parquet", "--record", run / "select_items/sums.json",
    )  # fmt: skip
    tested = [made_up(form, number) for number, form in enumerate(FORMS)]
    worse = [
        made_up(form, number + 1).assign(readout="ability") for number, form in enumerate(FORMS)
    ]
    table = pd.concat([*tested, *worse], ignore_index=True)
    trained = table[table["set"] == "train"]
    write_table(trained, run / "fit_process" / "sums.parquet", "reconstructions")
    quarters = [
        {"distance": d / 10, "rmse": 1.0 + d, "mae": 1.0, "coverage": 0.9} for d in range(4)
    ]
    fitted = {"forms": {"A": {"process": {"by_distance": quarters}}}}
    write_record(fitted, run / "fit_process" / "sums.json")
    table = table[table["set"] == "test"]
    write_table(table, run / "assess_readout" / "test.parquet", "reconstructions")
    written = {"written": "2026-11-25 10:00 UTC", "n_subjects": 20}
    write_record(written, run / "assess_readout" / "test.json")
    features = pd.concat(tested, ignore_index=True).rename(columns={"predicted": "linear"})
    features = features.drop(columns=["readout", "n_items", "lower", "upper", "level"])
    features = features.assign(fold=1, theta=0.0, se=0.3, sub_score=50.0, complete=1)
    features = features[features["set"] == "test"]
    write_table(features, run / "assess_readout" / "test.features.parquet", "features")
    for table, stage, more in (("training", "forms", []), ("test", "test", ["--pool"])):
        run_stage(
            "score-subjects", "--responses", run / table / "sums.parquet",
            "--parameters", run / "fit_irt/sums.parquet", "--selection",
            run / "select_items/sums.parquet", *more,
            "--out", run / f"score_{stage}" / "sums.parquet",
        )  # fmt: skip
    drawn = pd.DataFrame({"benchmark": "sums", "n_items": 8, "draw": np.arange(1, 21)})
    drawn = drawn.assign(rmse=np.linspace(3, 5, 20), mae=2.0)
    write_table(drawn, run / "draw_baseline" / "sums.parquet", "baseline")
    sets = {"train": {"subjects": 80, "organizations": 20}}
    sets["test"] = {"subjects": 20, "organizations": 5}
    split = {"method": "organization", "seed": 1, "sets": sets}
    split["test_share_with_training_organization"] = 0.0
    write_record(split, run / "split_subjects" / "splits.json")
    splits = tested[0][["subject", "set"]].assign(fold=1)
    write_table(splits, run / "split_subjects" / "splits.parquet", "splits")
    return run


def made_up(form: str, number: int) -> pd.DataFrame:
    """Return reconstructions of one form; random forms err more."""
    rng = np.random.default_rng([5, number])
    score = rng.uniform(20, 80, 100)
    predicted = score + rng.normal(0, 2 + number, 100)
    sets = np.where(np.arange(100) < 80, "train", "test")
    return pd.DataFrame({"subject": [f"m{i}" for i in range(100)], "set": sets}).assign(
        benchmark="sums", readout="process", form=form, n_items=8, full_score=score,
        predicted=predicted, lower=predicted - 3, upper=predicted + 3, level=0.9,
    )  # fmt: skip


SIMULATED = {"sources": "simulated"}
REAL = {"sources": ["sums.parquet"]}


def report(run, out, benchmark=REAL, figures=False, **settings) -> str:
    """Write the report of a run with these settings and return its text; figures take long."""
    config = resolve({"run": "made-up", "benchmarks": {"sums": benchmark}, **settings})
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with nullcontext() if figures else patch("itemwise.report.figures.data_url", lambda _: "data:"):
        run_stage("write-report", "--results", run, "--out", out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(results):
    return report(results, results / "report.html", SIMULATED, True, irt={"reference": "never"})


def test_page_says_what_to_expect_of_a_model_unlike_all_others(page):
    text = page[page.index("And for a model unlike all others?") :]
    assert "<td>least like any other</td><td>30 %</td><td>4.00</td><td>90.0 %</td>" in text


def test_page_says_what_difference_is_found(page, results):
    told = load_benchmark(results, "sums", False, False).detectable
    # Errors of 2 points, two of them, found beyond 1.96 of their standard deviations and 0.84.
    assert told["difference"] == pytest.approx(2.8 * 2 * 2**0.5, rel=0.3)
    assert f"differ by less than <strong>{told['difference']:.1f}</strong> points" in page
    assert "3,160 pairs of training models" in page


def test_a_benchmark_without_random_forms_is_refused(results):
    benchmark = load_benchmark(results, "sums", False, False)
    table = benchmark.reconstructions
    with pytest.raises(UserError, match="no random forms to compare with"):
        summary(dataclasses.replace(benchmark, reconstructions=table[table["form"] == "A"]))


def test_page_loads_nothing_from_elsewhere(page):
    assert not re.findall(r"<(?:script|link|iframe|object|embed)\b", page)
    assert not re.findall(r'href="(?:[a-z]+:|/)', page)
    assert all(source.startswith("data:") for source in re.findall(r'src="([^"]*)"', page))
    assert not re.findall(r"url\((?!data:)|@import", page)


def test_links_lead_to_the_tables_of_the_run(page, results, tmp_path):
    links = set(re.findall(r'href="([^"#]+)"', page))
    assert "assess_readout/test.parquet" in links
    assert len(links) >= 8
    for link in links:
        assert (results / link).is_file(), link
    for link in re.findall(r'href="([^"#]+)"', report(results, tmp_path / "r.html")):
        assert (tmp_path / link).is_file(), link


def test_every_section_has_its_figures_and_they_are_images(page):
    sections = page.split("<h2 id=")[1:]
    assert [section[:7] for section in sections] == ['"sums">', '"words"']
    figures = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', sections[0])
    assert [name for name, _ in figures] == [
        "reconstructed against full score",
        "error of the form and of random forms",
        "test information",
        "item characteristic curves",
        "estimates against truth",
    ]
    for name, data in figures:
        image = base64.b64decode(data, validate=True)
        assert image.startswith(b"\x89PNG"), name
        assert len(image) > 5000, f"{name} is empty"
    assert len({data for _, data in figures}) == len(figures)


def test_numbers_are_those_of_the_tables(page):
    accuracies = {form: made_up(form, i).query("set == 'test'") for i, form in enumerate(FORMS)}
    accuracies = {form: accuracy(table) for form, table in accuracies.items()}
    ours = accuracies.pop("A")
    test = made_up("A", 0).query("set == 'test'")
    error = test["predicted"] - test["full_score"]
    random = pd.DataFrame(accuracies.values())
    row = re.search(r'<tr><td><a href="#sums">.*?</tr>', page)[0]
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
    low, high = random["rmse"].min(), random["rmse"].max()
    assert cells[:4] == ["sums", "100", "30", "26"]
    assert int(cells[4]) <= 8
    assert cells[5:] == [
        "20",
        f"{test['full_score'].std():.1f}",
        f"{ours['rmse']:.2f}",
        f"{clustered_se(error, error.index.to_series()):.2f}",
        f"{ours['mae']:.2f}",
        f"{test['predicted'].rank().corr(test['full_score'].rank()):.3f}",
        f"{100 * ours['coverage']:.1f} %",
        # Quantiles of three forms would say nothing.
        f"{random['rmse'].median():.2f} (range {low:.2f}-{high:.2f})",
    ]


def test_every_table_of_numbers_links_to_the_file_behind_it(page):
    parts = re.split(r"(?=<h[23])", page.split('<h2 id="words"')[0])
    shown = [part for part in parts if "<table>" in part]
    assert len(shown) >= 7
    for part in shown:
        assert re.search(r'href="[^"#]+\.(parquet|json)"', part), part[:80]


def test_every_word_that_is_linked_is_explained(page):
    linked = re.findall(r'href="#(word-[^"]+)"', page)
    assert len(set(linked)) >= 10
    assert set(linked) <= set(re.findall(r'<dt id="(word-[^"]+)"', page))


def test_verdict_leads_the_page(page):
    part = page[page.index("In words") : page.index("At a glance")]
    assert "Too few random forms to judge." in part
    assert "Spearman" in part


REASONS = {
    "never": "the configuration says <code>reference: never</code>",
    "missing": "it is not installed",
}


def test_page_says_why_mirt_was_not_compared(page, results, tmp_path):
    for reason, html in (("never", page), ("missing", report(results, tmp_path / "r.html"))):
        assert [text in html for text in REASONS.values()] == [reason == key for key in REASONS]


def test_selected_items_are_told_by_their_questions(page, results, tmp_path):
    """Task, row and beginning of the question where they are known; no empty columns else."""
    assert "<th>task</th>" not in page
    assert ">question</th>" not in page
    run = shutil.copytree(results, tmp_path / "told")
    screen = read_table(run / "screen_items" / "sums.parquet", "items")
    text = [f"Is {n} < 7?\n" + "word " * 40 for n in range(len(screen))]
    screen = screen.assign(task="sums_easy", doc_id=range(len(screen)), text=text)
    screen.loc[5:10, ["text", "doc_id"]] = None
    write_table(screen, run / "screen_items" / "sums.parquet", "items")
    told = report(run, run / "report.html", SIMULATED)
    chosen = read_table(run / "select_items" / "sums.parquet", "selection")
    chosen = chosen.loc[chosen["form"] == "A", "item"]
    for row in screen[screen["item"].isin(chosen) & screen["text"].notna()].itertuples():
        assert f"<td>sums_easy</td><td>{row.doc_id:.0f}</td>" in told
        assert f"Is {row.Index} &lt; 7? word" in told
    assert "word " * 20 not in told


def test_who_looked_at_the_test_models_is_said_in_every_report(page):
    text = re.sub("<.*?>", "", page)
    assert (
        "The rule assess_readout predicted the full scores of 20 test models once, on 2026-11-25 "
        "10:00 UTC, when items and read-outs were chosen" in text
    )
    assert "draw_baseline looks at test models too" in text
    assert "The intervals do not hold the uncertainty of the item parameters" in text


def test_what_went_in_counts_models_that_lack_items(page, results):
    table = pd.read_parquet(results / "build_responses/sums.parquet")
    lacking = int(table.isna().any(axis=1).sum())
    assert lacking > 10
    assert f"{lacking} models lack items; 0 have no full score" in page


def test_organizations_are_those_of_the_subjects_table(results):
    benchmark = load_benchmark(results, "sums", False, False)
    test = benchmark.test["subject"]
    owners = pd.Series(np.where(np.arange(len(test)) < 15, "lab", None), index=test)
    rows = coverage(dataclasses.replace(benchmark, cluster=owners.rename("organization")))
    assert [(row["name"], row["n"]) for row in rows if "organization" in row["name"]] == [
        ("organization lab", 15)
    ]


def test_simulated_data_are_labelled_and_real_data_are_not(page, results, tmp_path):
    assert "Simulated data." in page
    assert "Recovery of the simulated truth" in page
    real = report(results, tmp_path / "r.html")
    assert "imulated" not in re.sub("Sources: .*", "", real)


def test_reasons_are_counted_by_rule(results):
    benchmark = load_benchmark(results, "sums", True, False)
    assert screen_reasons(benchmark) == [("mean > 0.95", 4), ("sd <= 0.01", 1)]
    assert summary(benchmark)["kept"] == 26


def test_recovery_compares_with_the_truth(results):
    benchmark = load_benchmark(results, "sums", True, False)
    rows = {row["name"]: row for row in recovery(benchmark)}
    assert set(rows) == {"item a", "item d", "ability theta"}  # all lower asymptotes are 0
    estimate = benchmark.abilities.set_index("subject")["theta"]
    error = estimate - benchmark.truth["abilities"].set_index("subject")["theta"]
    assert rows["ability theta"]["n"] == 100
    assert rows["ability theta"]["bias"] == pytest.approx(error.mean())
    assert rows["ability theta"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    # 26 items carry much information: the reliability of such tests is above 0.8.
    assert rows["ability theta"]["correlation"] > 0.8
    assert recovery(load_benchmark(results, "sums", False, False)) == []


def test_run_that_is_not_complete_is_refused(itemwise, results, tmp_path):
    command = ("write-report", "--results", tmp_path, "--out", tmp_path / "r.html")
    finished = itemwise(*command)
    assert finished.status == 2
    assert "config.yaml: cannot be read" in finished.err
    shutil.copy2(results / "config.yaml", tmp_path)
    finished = itemwise(*command)
    assert finished.status == 2
    assert "sums.json: no such file; run the stage that writes it first" in finished.err
    assert not (tmp_path / "r.html").exists()


def test_page_of_a_large_run_stays_small(results, tmp_path):
    """Six benchmarks of 14,000 items must stay below 10 MB, whatever is listed of them."""
    n = 14_000
    run = tmp_path / "large"
    shutil.copytree(results, run)
    items = [f"benchmark_task_of_a_long_name:{i:05d}" for i in range(n)]
    parameters = pd.DataFrame({"item": items, "a": 1.0, "d": 0.0, "g": 0.0, "u": 1.0})
    write_table(parameters, run / "fit_irt/sums.parquet", "parameters")
    chosen = pd.DataFrame({"benchmark": "sums", "form": "A", "item": items})
    drawn = [chosen.head(20).assign(form=f"random{i}") for i in (1, 2, 3)]
    chosen = chosen.assign(rank=range(1, n + 1), information=1.0, theta_at_maximum=0.0)
    drawn = [form.assign(rank=range(1, len(form) + 1)) for form in drawn]
    write_table(pd.concat([chosen, *drawn]), run / "select_items/sums.parquet", "selection")
    screen = pd.DataFrame({"benchmark": "sums", "item": items, "n": 80, "mean": 0.5, "sd": 0.5})
    screen = screen.assign(item_total_correlation=0.01, keep=0, reason="item-total < 0.05")
    write_table(screen, run / "screen_items/sums.parquet", "items")
    build = read_record(run / "build_responses/sums.json")
    dropped = {"items_without_response": items, "subjects_without_response": items}
    build |= {"sources": items, "dropped": dropped}
    write_record(build, run / "build_responses/sums.json")
    page = report(run, run / "report.html")
    assert len(page) < 10e6 / 6
    assert f"and {n - SHOWN_SELECTED} more in" in page


# ---- Beside published results ------------------------------------------------

PUBLISHED = [
    {"readout": "process", "source": "Someone 2025", "rmse": 1.5, "n_items": 12,
     "differs": "other items"},
    {"readout": "joint", "source": "Someone 2025", "mae": 0.5},
]  # fmt: skip
PUBLISHED_MEAN = [{"readout": "joint", "source": "Someone else", "rmse": 0.25}]


def test_published_numbers_stand_beside_ours(results, tmp_path):
    benchmark = {**REAL, "published": PUBLISHED}
    page = report(results, tmp_path / "r.html", benchmark, published=PUBLISHED_MEAN)
    part = page[page.index("Beside published") : page.index("Who was tested")]
    rows = [
        [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", row)]
        for row in re.findall(r"<tr>.*?</tr>", part)[1:]
    ]
    benchmark = load_benchmark(results, "sums", True, False)
    test, drawn = benchmark.test, benchmark.baseline["rmse"].median()
    ours = accuracy(test)
    ranks = test["predicted"].rank().corr(test["full_score"].rank())
    assert rows[0] == [
        "sums", "process", f"{ours['rmse']:.2f}", "1.50", f"{1.5 - ours['rmse']:.2f}",
        f"{ours['mae']:.2f}", "-", f"{ranks:.3f}", "-", f"{drawn:.2f}", "-",
        str(test["n_items"].iloc[0]), "12", str(len(test)), "-", "Someone 2025",
    ]  # fmt: skip
    # A single benchmark has neither a joint read-out nor a mean.
    assert rows[1][2:7] == ["-", "-", "-", "-", "0.50"]
    assert rows[2][2:5] == ["-", "0.25", "-"]
    assert "<li>sums: other items</li>" in part


def test_without_published_numbers_there_is_no_such_table(page):
    assert "Beside published" not in page


def test_factors_are_shown_one_or_several(results, tmp_path):
    folder = tmp_path / "run" / "analyze_factors"
    folder.mkdir(parents=True)
    solutions = [{"n_factors": 1, "variance": 0.8}, {"n_factors": 2, "variance": [0.5, 0.3]}]
    (folder / "factors.json").write_text(json.dumps({"scores": solutions}))
    loadings = pd.DataFrame(
        [("scores", 1, b, 1, 0.9) for b in "abc"]
        + [("scores", 2, b, f, 0.1 * f) for f in (1, 2) for b in "abc"],
        columns=["measure", "n_factors", "benchmark", "factor", "loading"],
    )
    write_table(loadings, folder / "factors.parquet", "loadings")
    rows = factor_rows(tmp_path / "run")
    assert [row["variance"] for row in rows] == [[0.8], [0.5, 0.3]]
    assert rows[1]["loadings"]["b"] == [0.1, 0.2]


def test_what_was_left_out_is_said(results, tmp_path):
    run = tmp_path / "made-up"
    shutil.copytree(results, run)
    said = "The joint read-out is left out: 0 training models have every benchmark."
    record = read_record(run / "assess_readout/test.json")
    write_record({**record, "joint_left_out": said}, run / "assess_readout/test.json")
    factors = "The factor analysis is left out: 0 training models have every benchmark."
    write_record({"left_out": factors}, run / "analyze_factors/factors.json")
    page = report(run, run / "report.html")
    assert said in page
    assert factors in page


@pytest.fixture(scope="module")
def with_runs(results, tmp_path_factory):
    """Return a copy of the run with two held-out training runs of three checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "made-up"
    shutil.copytree(results, folder)
    for number, name in enumerate(("first", "second")):
        write_table(
            measures(name, number), folder / "follow_run" / f"{name}.parquet", "run_measures"
        )
        about = {"width": 32, "layers": 2, "share": 0.3}
        write_record(about, folder / "train_tiny_models" / f"{name}.json")
    return folder


def measures(name: str, number: int) -> pd.DataFrame:
    """Return a run whose short form errs by 1 point and whose tests by 2, all upwards."""
    rows = []
    for step in (10, 20, 30):
        for benchmark, n_items in (("sums", 30), ("overall", 60)):
            full = step + number
            for measure, error, asked in (("full", 0, n_items), ("form", 1, 6), ("adaptive", 2, 5)):
                half = None if measure == "full" else 1.5
                score = full + error
                rows.append((f"{name}/step-{step}", benchmark, measure, step, 100 * step, asked,
                             score, half and score - half, half and score + half,
                             half and 0.9))  # fmt: skip
    columns = ["subject", "benchmark", "measure", "step", "tokens", "n_items", "score", "lower",
               "upper", "level"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def test_held_out_runs_are_told_by_their_tables(with_runs):
    runs = {"a": {}, "first": {"held_out": True}, "second": {"held_out": True}}
    page = report(with_runs, with_runs / "report.html", tiny_models={"runs": runs})
    assert "Tiny models of a made-up world.</strong> 3 training runs" in page
    text = re.sub(r"\s+", " ", re.sub("<.*?>", " ", page))
    assert "The short form: 10 % of the items rebuild the mean score of 6 checkpoints" in text
    assert "which ranges from 10 to 31 points, with an RMSE of 1.00 points" in text
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr>.*?</tr>", page)]
    assert ["sums", "adaptive test", "5.0", "30", "6", "2.00", "0.00", "2.00", "0 %",
            "3.0"] in rows  # fmt: skip
    assert ["20", "2,000", "21.0", "22.0", "20.5-23.5", "23.0", "21.5-24.5", "5"] in rows
    assert len(re.findall(r'<img alt="scores of \w+ against training tokens"', page)) == 2
    assert 'href="follow_run/first.parquet"' in page


def test_figure_of_a_run_has_three_panels_a_row_and_counts_items_in_each():
    table = measures("first", 0)
    others = [table[table["benchmark"] == "sums"].assign(benchmark=name) for name in "abc"]
    drawn = figure(pd.concat([*others, table]))
    panels = [axes for axes in drawn.axes if axes.get_visible()]
    assert [axes.get_title(loc="left").strip() for axes in panels] == [
        "a", "b", "c", "sums", "mean of all",
    ]  # fmt: skip
    assert len({axes.get_position().y0 for axes in panels}) == 2
    counts = [axes.texts[0].get_text() for axes in panels]
    assert counts[0] == "items: 30 full, 6 form, 5 adaptive"
    assert counts[-1] == "items: 60 full, 6 form, 5 adaptive"
    assert all(axes.get_ylim()[0] < 0 and axes.get_ylim()[1] > 100 for axes in panels)
    plt.close(drawn)


def test_run_without_held_out_runs_has_no_such_section(page):
    assert "held-out" not in page.lower().replace("held-out models", "")
    assert "Tiny models" not in page


def test_one_factor_is_told_like_several(results, tmp_path):
    """R writes the variance of a single factor as a number, of several as a list."""
    folder = tmp_path / "run"
    shutil.copytree(results, folder)
    about = {"n_subjects": 9, "rmsea": None, "tli": None, "cfi": None, "rmsr_corrected": None,
             "spearman_overall": 0.9, "n_overall": 9}  # fmt: skip
    solutions = [{"n_factors": 1, "variance": 0.7512, **about},
                 {"n_factors": 2, "variance": [0.5, 0.25], **about}]  # fmt: skip
    write_record({"scores": solutions}, folder / "analyze_factors" / "factors.json")
    loadings = pd.DataFrame(
        [("scores", n, b, f, 0.8) for n, f in ((1, 1), (2, 1), (2, 2)) for b in ("a", "b")],
        columns=["measure", "n_factors", "benchmark", "factor", "loading"],
    )
    write_table(loadings, folder / "analyze_factors" / "factors.parquet", "loadings")
    page = report(folder, folder / "r.html")
    assert "<td>0.75</td>" in page
    assert "<td>0.50 + 0.25</td>" in page


def test_models_of_one_group_count_as_one_cluster():
    subjects = pd.DataFrame({"subject": ["a/1", "a/2", "b/1"], "organization": ["a", "a", "b"],
                             "group": ["run", None, "run"]})  # fmt: skip
    assert clusters(subjects).to_dict() == {"a/1": "run", "a/2": "a/2", "b/1": "run"}
    assert clusters(subjects.assign(group=None)).to_dict() == {"a/1": "a", "a/2": "a", "b/1": "b"}
    nobody = subjects.assign(group=None, organization=None)
    assert clusters(nobody).name == "model"
    assert clusters(nobody).nunique() == 3
