"""The whole suite at several checkpoints, from the command line, offline."""

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from processes import check_child_dies_with
from record_keys import check_record

from itemwise.analyses import suite, toxic_detection
from itemwise.stages import profile_checkpoints
from itemwise.tables.contract import read_table

pytestmark = pytest.mark.slow

STEPS = (0, 20, 60)


@pytest.fixture(scope="module")
def profiled(training, suite_settings, judge_server, tmp_path_factory):
    """Return the folder in which all rows but the bank's were measured at three checkpoints."""
    from itemwise.cli.main import main

    judge_server.reply = lambda question: "SCORE: 3"
    folder = tmp_path_factory.mktemp("profile")
    (folder / "settings.yaml").write_text(yaml.safe_dump(suite_settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toxic_detection, "REPEATS", 5)
        for step in STEPS:
            assert main(command(folder, training, step)) == 0
    return folder


def command(folder, training, step, *more) -> list[str]:
    """Return the command that measures a checkpoint."""
    words = ["profile-checkpoints", "--lm", training / f"checkpoint-{step}", "--name", "lab/run",
             "--revision", f"checkpoint-{step}", "--step", step, "--tokens", step * 10,
             "--device", "cpu", "--settings", folder / "settings.yaml", "--store",
             folder / "store", "--out", folder / "out", *more]  # fmt: skip
    return [str(word) for word in words]


def record(folder, step) -> dict:
    """Return the record of a checkpoint."""
    return json.loads((folder / f"out/lab__run/checkpoint-{step}/record.json").read_text())


def measures(folder, step) -> pd.DataFrame:
    """Return all measures of a checkpoint."""
    files = sorted((folder / f"out/lab__run/checkpoint-{step}").glob("*.parquet"))
    return pd.concat([read_table(file, "measures") for file in files], ignore_index=True)


def test_every_row_gives_its_headline_at_every_checkpoint(profiled):
    rows = suite.load()
    rows = rows[rows["analysis"] != "bank"]
    for step in STEPS:
        assert record(profiled, step)["failures"] == {}
        check_record("profile_checkpoints", record(profiled, step))
        table = measures(profiled, step)
        assert set(table["analysis"]) == set(rows["name"])
        assert (table["revision"] == f"checkpoint-{step}").all()
        for row in rows.itertuples():
            mine = table[(table["analysis"] == row.name) & (table["metric"] == row.metric)]
            headline = mine[mine["group"] == ""]
            assert len(headline) == 1, row.name
            assert np.isfinite(headline["value"].iloc[0]), row.name
            assert headline["n"].iloc[0] > 0, row.name
        known = table.dropna(subset=["lower", "upper"])
        assert (known["lower"] <= known["value"] + 1e-9).all()
        assert (known["value"] <= known["upper"] + 1e-9).all()
        shares = table[table["metric"].str.contains("rate|acc|match$|pct")]
        assert shares["value"].between(0, 1).all()


def test_training_shows_in_the_measures(profiled):
    tables = [measures(profiled, step) for step in STEPS]

    def of(analysis, metric):
        chosen = [t[(t["analysis"] == analysis) & (t["metric"] == metric) & (t["group"] == "")]
                  for t in tables]  # fmt: skip
        return [part["value"].iloc[0] for part in chosen]

    assert of("memorization", "full_match")[-1] == 1
    assert of("memorization", "full_match")[0] == 0
    assert of("memorization", "token_match")[-1] > of("memorization", "token_match")[0]
    bits = of("perplexity", "bits_per_byte")
    assert bits[0] > bits[1]


def test_harness_rows_by_hand(profiled):
    ledgers = (profiled / "store" / "ledger").glob("*.jsonl")
    answers = {}
    for ledger in ledgers:
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        about = lines[0]["provenance"]
        if about["name"].endswith("checkpoint-60") and about["prompting"]["num_fewshot"] == 5:
            for line in lines[1:]:
                answers |= line["answers"]
    acc = {task: [v["none"]["acc"] for k, v in answers.items() if k.startswith(f"mmlu_{task}")]
           for task in ("anatomy", "marketing")}  # fmt: skip
    assert all(len(values) == 6 for values in acc.values())
    table = measures(profiled, 60)
    mine = table[table["analysis"] == "mmlu"].set_index(["metric", "group"])
    means = [np.mean(values) for values in acc.values()]
    variances = [m * (1 - m) / 6 for m in means]
    assert mine.loc[("acc", ""), "value"] == pytest.approx(np.mean(means))
    assert mine.loc[("acc", ""), "se"] == pytest.approx(np.sqrt(sum(variances)) / 2)
    assert mine.loc[("acc_micro", ""), "value"] == pytest.approx(
        np.mean([*acc["anatomy"], *acc["marketing"]])
    )
    assert mine.loc[("acc", "mmlu_anatomy"), "value"] == pytest.approx(means[0])
    both = table[table["analysis"].isin(["arc_challenge", "hellaswag"])]
    assert set(both["metric"]) == {"acc", "acc_norm"}


def test_a_limit_draws_so_many_documents_of_each_task(suite_settings, trained, tmp_path):
    from itemwise.analyses import harness_tasks

    row = suite.pick(["mmlu"], bank=False).iloc[0]
    path = suite_settings["harness_tasks"]["include_path"]
    settings = harness_tasks.Settings(include_path=path, limit=2)
    made = harness_tasks.load(row, settings, trained, tmp_path)
    rows = harness_tasks.measure(trained, made, settings).rows
    count = {(r["metric"], r["group"]): r["n"] for r in rows}
    assert count["acc", "mmlu_anatomy"] == count["acc", "mmlu_marketing"] == 2
    assert count["acc_micro", ""] == 4
    assert {r["seed"] for r in rows} == {42}


def test_units_are_kept_and_drawn_on_the_page(profiled, itemwise, tmp_path):
    folder = profiled / "store/lab__run/checkpoint-60"
    (file,) = folder.glob("toxigen.*.units.parquet")
    assert read_table(file, "units")["text"].notna().any()
    done = itemwise("build-trajectories", "--measures", profiled / "out", "--out", tmp_path / "t")
    assert done.status == 0, done.err
    scores = read_table(tmp_path / "t" / "sequence_scores.parquet", "sequence_scores")
    assert scores.groupby("revision")["n"].sum().tolist() == [8] * len(STEPS)
    both = read_table(tmp_path / "t" / "sequence_correlations.parquet", "sequence_correlations")
    assert both["n"].tolist() == [8] * 3
    page = tmp_path / "p.html"
    assert itemwise("write-profile", "--trajectories", tmp_path / "t", "--out", page).status == 0
    assert 'alt="memorized sequences"' in page.read_text(encoding="utf-8")


def test_what_is_kept_costs_nothing_and_a_new_analysis_only_itself(
    profiled, training, monkeypatch, tmp_path
):
    from itemwise.cli.main import main
    from itemwise.harness.model import LanguageModel

    def refuse(self):
        raise AssertionError("weights were loaded")

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "load", refuse)
        assert main(command(profiled, training, 20)) == 0
    again = record(profiled, 20)
    assert all(a["from_store"] for a in again["analyses"].values())
    changed = command(profiled, training, 20, "--set", "memorization.prompt=6")
    assert main(changed) == 0
    fresh = [n for n, a in record(profiled, 20)["analyses"].items() if not a.get("from_store")]
    assert fresh == ["memorization"]


def test_other_weights_are_measured_anew(profiled, training, tmp_path, itemwise):
    moved = shutil.copytree(training / "checkpoint-20", tmp_path / "run" / "checkpoint-60")
    words = command(profiled, tmp_path / "run", 60, "--analyses", "perplexity")
    words[words.index("--out") + 1] = str(tmp_path / "out")
    settings = yaml.safe_load((profiled / "settings.yaml").read_text())
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({"perplexity": settings["perplexity"]}))
    words[words.index("--settings") + 1] = str(tmp_path / "s.yaml")
    done = itemwise(*words)
    assert done.status == 0, done.err
    made = json.loads((tmp_path / "out/lab__run/checkpoint-60/record.json").read_text())
    assert "from_store" not in made["analyses"]["perplexity"]
    assert moved.exists()


def test_an_analysis_that_fails_leaves_the_others_and_is_named(training, tmp_path, itemwise):
    (tmp_path / "texts.jsonl").write_text('{"text": "the river and the stone"}\n')
    (tmp_path / "ids.jsonl").write_text('{"ids": [1, 2]}\n')
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump({
        "perplexity": {"data": str(tmp_path / "texts.jsonl")},
        "memorization": {"data": str(tmp_path / "ids.jsonl")},
    }))  # fmt: skip
    words = command(tmp_path, training, 20, "--analyses", "memorization", "perplexity", "bold")
    done = itemwise(*words)
    assert done.status == 2
    assert "2 of 3 analyses failed (bold, memorization)" in done.err
    assert "ids.jsonl: lacks the column 'token_ids', 'text', or" in done.err
    assert "AlexaAI/bold" in done.err  # not reachable; the message says what file to give
    table = measures(tmp_path, 20).set_index(["analysis", "metric"])
    table = table[table["group"] == ""]
    assert np.isfinite(table.loc[("perplexity", "bits_per_byte"), "value"])
    gap = table.loc[("memorization", "token_match")]
    assert np.isnan(gap["value"])
    assert gap["n"] == 0
    assert set(record(tmp_path, 20)["failures"]) == {"memorization", "bold"}
    assert itemwise(*words, "--keep-going").status == 0


def test_missing_and_corrupt_checkpoints_are_gaps_and_others_go_on(training, tmp_path, itemwise):
    corrupt = shutil.copytree(training / "checkpoint-20", tmp_path / "run" / "checkpoint-20")
    weights = corrupt / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    shutil.copytree(training / "checkpoint-60", tmp_path / "run" / "checkpoint-60")
    (tmp_path / "texts.jsonl").write_text('{"text": "the river and the stone"}\n')
    listed = pd.DataFrame({
        "model": "lab/run", "revision": ["checkpoint-20", "checkpoint-60"], "step": [20, 60],
        "tokens": [200, None], "dtype": None,
        "location": [str(corrupt), str(tmp_path / "run/checkpoint-60")],
    })  # fmt: skip
    listed.to_csv(tmp_path / "list.csv", index=False)
    words = ["profile-checkpoints", "--checkpoints", tmp_path / "list.csv", "--analyses",
             "perplexity", "--set", f"perplexity.data={tmp_path / 'texts.jsonl'}",
             "--device", "cpu", "--store", tmp_path / "store",
             "--out", tmp_path / "out"]  # fmt: skip
    done = itemwise(*words)
    assert done.status == 0
    assert "2 checkpoints, 1 of 2 analyses measured" in done.out
    failures = json.loads((tmp_path / "out" / "record.json").read_text())["failures"]
    assert set(failures) == {"lab/run@checkpoint-20"}
    assert "does not load" in failures["lab/run@checkpoint-20"]["perplexity"]
    gap = read_table(tmp_path / "out/lab__run/checkpoint-20/perplexity.parquet", "measures")
    assert gap["value"].isna().all()
    good = read_table(tmp_path / "out/lab__run/checkpoint-60/perplexity.parquet", "measures")
    assert good["value"].notna().all()


def test_equal_gaps_are_told_once_and_an_unreachable_hub_is_remembered(
    itemwise, tmp_path, monkeypatch
):
    environments = []

    def child(words, environment, **options):
        environments.append(environment)
        folder = tmp_path / "out" / "run" / words[words.index("--revision") + 1]
        folder.mkdir(parents=True)
        made = {"failures": {"perplexity": "no text"}, "hub_unreachable": len(environments) == 2}
        (folder / "record.json").write_text(json.dumps(made))
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(profile_checkpoints, "run_child", child)
    pd.DataFrame({"model": "run", "revision": list("abcd"), "step": range(4), "tokens": None,
                  "dtype": None, "location": None}).to_csv(tmp_path / "l.csv")  # fmt: skip
    done = itemwise("profile-checkpoints", "--checkpoints", tmp_path / "l.csv", "--analyses",
                    "perplexity", "--store", tmp_path / "store", "--out",
                    tmp_path / "out")  # fmt: skip
    assert done.err.count("no text") == 1
    assert "gap: 4 checkpoints: run@a, run@b, run@c and 1 more: perplexity: no text" in done.err
    assert environments == [{}, {}, profile_checkpoints.OFFLINE, profile_checkpoints.OFFLINE]
    assert done.err.count("the hub cannot be reached") == 1


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    """As with kill -9: the parent can do nothing about it."""
    child = "import itemwise.workflow.child_process as c, time; "
    child += "c.die_with_parent(); print('on', flush=True); time.sleep(60)"
    parent = (
        "import sys; from itemwise.workflow.child_process import run_child; "
        f"run_child([sys.executable, '-c', {child!r}])"
    )
    check_child_dies_with(parent)


def test_a_revision_that_does_not_exist_is_a_gap(tmp_path, itemwise):
    words = [
        "profile-checkpoints",
        "--lm",
        "nobody/nothing",
        "--revision",
        "step9",
        "--analyses",
        "piqa",
        "perplexity",
        "--store",
        tmp_path / "store",
        "--out",
        tmp_path / "out",
    ]
    done = itemwise(*words, "--keep-going")
    assert done.status == 0
    folder = tmp_path / "out/nobody__nothing/step9"
    failures = json.loads((folder / "record.json").read_text())["failures"]
    assert set(failures) == {"piqa", "perplexity"}
    assert "nobody/nothing@step9: cannot be found" in failures["piqa"]
    assert read_table(folder / "piqa.parquet", "measures")["value"].isna().all()


def test_watching_measures_what_comes_and_stops(tmp_path, itemwise, monkeypatch):
    started = []

    def start(options, row, suite):
        started.append((row["revision"], row["step"], row["tokens"]))
        if len(started) == 1:  # while the first is measured, the training writes the next
            write("step200-tokens2B")
        return {}

    def write(name):
        folder = tmp_path / "run" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"1")

    write("checkpoint-100")
    monkeypatch.setattr(profile_checkpoints, "start", start)
    words = ["profile-checkpoints", "--watch", tmp_path / "run", "--analyses", "perplexity",
             "--interval", "0.01", "--tokens-per-step", "4", "--store", tmp_path / "store",
             "--out", tmp_path / "out"]  # fmt: skip
    done = itemwise(*words, "--until", "200")
    assert done.status == 0
    assert started == [("checkpoint-100", 100, 400), ("step200-tokens2B", 200, 800)]
    (tmp_path / "stop").write_text("")
    started.clear()
    assert itemwise(*words, "--stop-file", tmp_path / "stop").status == 0
    assert started == []  # one look cannot tell whether files still grow
    assert itemwise(*words[:1], "--watch", tmp_path / "none", *words[3:]).status == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--analyses", "perplexty"], "analysis 'perplexty' is not in the suite"),
        (["--set", "perplexity=3"], "is not of the form ANALYSIS.SETTING=VALUE"),
        (["--analyses", "perplexity", "--set", "perplexity.lengthy=3"], "did you mean 'length'"),
        (["--settings", "none.yaml"], "cannot be read as YAML"),
        ([], "which model judges"),
        (["--analyses", "perplexity", "--bank", "b", "--rule", "odd:x"], "odd"),
        (["--analyses", "perplexity", "--bank", "none"], "none: no such folder"),
        (["--analyses", "perplexity", "--set", "perplexity.data=t.jsonl"], "t.jsonl: no such file"),
        (["--analyses", "perplexit"], "did you mean 'perplexity'?"),
    ],
)
def test_mistakes_are_told_before_a_model_is_loaded(options, message, itemwise, tmp_path):
    done = itemwise("profile-checkpoints", "--lm", "nobody/nothing", "--store", tmp_path,
                    "--out", tmp_path / "out", *options)  # fmt: skip
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()
