"""A bank of harness items: evaluated by us, and by the plain harness through its task files."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from banks import build, export

from itemwise.bank.folder import read_bank
from itemwise.irt.population import draw_items
from itemwise.irt.simulation import simulate_responses
from itemwise.tables.contract import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def documents(tasks, tmp_path_factory):
    """Return the documents table of both tasks, each a benchmark."""
    from itemwise.cli.main import main

    out = tmp_path_factory.mktemp("documents") / "documents.parquet"
    command = ["list-documents", "--tasks", "words", "sums", "--include-path", tasks,
               "--benchmark-of", "words=vocabulary", "--out", out]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    return read_table(out, "documents")


@pytest.fixture(scope="module")
def bank(documents, tmp_path_factory):
    """Return a bank calibrated on simulated answers to the tasks' items."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    folder = tmp_path_factory.mktemp("made")
    for number, name in enumerate(("vocabulary", "sums")):
        items = documents[documents["benchmark"] == name]
        parameters = draw_items(np.random.default_rng(number), name, len(items), 0.0)
        parameters["item"] = items["item"].to_numpy(object)
        parameters["a"] = parameters["a"].abs()
        theta = np.random.default_rng([number, 1]).normal(size=200)
        responses = simulate_responses(parameters, theta, seed=number)
        size = 10 if name == "vocabulary" else 6
        build(folder, name, number, responses, items.drop(columns="benchmark"), size)
    metrics = {"vocabulary": ("acc_norm", "none"), "sums": ("exact_match", "strict")}
    for name, (metric, chosen) in metrics.items():
        record = {"metric": metric, "filter": chosen, "harness": ["0.4.13"],
                  "num_fewshot": [0], "chat_template": ["no"]}  # fmt: skip
        (folder / f"{name}.build.json").write_text(json.dumps(record))
    assert export(folder, folder / "bank", names=("vocabulary", "sums")) == 0
    return folder / "bank"


@pytest.fixture(scope="module")
def results(bank, tiny_model, tasks, tmp_path_factory):
    """Return the evaluations table of the tiny model on the bank's short form."""
    from itemwise.cli.main import main

    folder = tmp_path_factory.mktemp("results")
    command = ["evaluate-model", "--lm", tiny_model, "--device", "cpu", "--bank", bank,
               "--include-path", tasks, "--ledger", folder, "--out", folder / "results.parquet",
               "--subject", "lab/tiny"]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    return folder / "results.parquet"


def test_the_short_form_alone_is_asked_with_the_calibrations_prompts(results, bank, documents):
    table = read_table(results, "evaluations")
    selection = read_bank(bank).selection
    assert set(table["item"]) == set(selection.loc[selection["form"] == "A", "item"])
    asked = table.drop_duplicates("item").set_index("item")["prompt_hash"]
    known = documents.set_index("item")["prompt_hash"]
    assert (asked == known[asked.index]).all()


def test_a_bank_asks_its_own_prompts_without_tasks(bank, results, tiny_model, itemwise, tmp_path):
    """The whole form, and one benchmark of two, with no task and no folder of tasks named."""
    common = ["--lm", tiny_model, "--device", "cpu", "--bank", bank, "--ledger", tmp_path / "l",
              "--subject", "lab/tiny"]  # fmt: skip
    done = itemwise("evaluate-model", *common, "--out", tmp_path / "own.parquet")
    assert done.status == 0, done.err
    keys = ["benchmark", "item", "filter", "metric"]
    own = read_table(tmp_path / "own.parquet", "evaluations").set_index(keys)
    theirs = read_table(results, "evaluations").set_index(keys)
    assert (own["response"] == theirs["response"].reindex(own.index)).all()
    assert (own["prompt_hash"] == theirs["prompt_hash"].reindex(own.index)).all()
    scored = itemwise("score-model", "--bank", bank, "--results", tmp_path / "own.parquet")
    assert "prompts differ" not in scored.err
    done = itemwise("evaluate-model", *common, "--benchmarks", "sums", "--out",
                    tmp_path / "one.parquet")  # fmt: skip
    assert done.status == 0, done.err
    assert set(read_table(tmp_path / "one.parquet", "evaluations")["benchmark"]) == {"sums"}
    rule = ["--rule", "adaptive:min_length=2,max_length=4", "--out", tmp_path / "t.parquet"]
    done = itemwise("adapt-model", *common, "--benchmarks", "sums", *rule)
    assert done.status == 0, done.err
    assert set(read_table(tmp_path / "t.parquet", "cat_traces")["benchmark"]) == {"sums"}
    done = itemwise("evaluate-model", *common, "--benchmarks", "sum", "--out", tmp_path / "x")
    assert done.status == 2
    assert "did you mean 'sums'" in done.err


def test_tasks_of_one_benchmark_of_two_say_how_to_ask_it_alone(bank, tasks, itemwise, tmp_path):
    done = itemwise("evaluate-model", "--lm", "org/model", "--bank", bank, "--ledger",
                    tmp_path / "l", "--tasks", "sums", "--include-path", tasks,
                    "--out", tmp_path / "x")  # fmt: skip
    assert done.status == 2
    assert "hold no item of vocabulary" in done.err
    assert "--benchmarks sums" in done.err


def test_scores_from_the_results(results, bank, itemwise, tmp_path):
    done = itemwise("score-model", "--bank", bank, "--results", results, "--json",
                    tmp_path / "s.json", "--html", tmp_path / "s.html", "--out",
                    tmp_path / "s.parquet")  # fmt: skip
    assert done.status == 0, done.err
    scores = read_table(tmp_path / "s.parquet", "scores")
    assert scores["readout"].tolist() == ["process", "process", "joint"]
    assert scores["n_items"].tolist() == [10, 6, 16]
    assert (scores["lower"] <= scores["predicted"]).all()
    record = json.loads((tmp_path / "s.json").read_text())
    assert record["metrics"] == {"vocabulary": "acc_norm", "sums": "exact_match (strict)"}
    assert not any("prompts differ" in message for message in record["warnings"])
    assert f"{scores['predicted'][0]:.1f}" in done.out
    page = (tmp_path / "s.html").read_text()
    assert "lab/tiny" in page
    assert f"Bank: {bank}; source: made up; licence: none" in page
    assert "of the tasks sums, words of lm-evaluation-harness" in (bank / "README.md").read_text()


def test_the_plain_harness_on_the_banks_tasks_gives_the_same_score(
    results, bank, tiny_model, itemwise, tmp_path, monkeypatch
):
    from lm_eval.__main__ import cli_evaluate

    moved = shutil.copytree(bank, tmp_path / "moved")
    monkeypatch.chdir(moved / "tasks")  # from where task files name their data
    command = ["lm-eval", "run", "--model", "hf", "--model_args", f"pretrained={tiny_model}",
               "--device", "cpu", "--batch_size", "8", "--include_path", ".",
               "--tasks", "itemwise_a", "--log_samples",
               "--output_path", f"{tmp_path}/logs"]  # fmt: skip
    monkeypatch.setattr("sys.argv", command)
    cli_evaluate()
    theirs = itemwise("score-model", "--bank", moved, "--samples", tmp_path / "logs", "--subject",
                      "lab/tiny", "--out", tmp_path / "theirs.parquet")  # fmt: skip
    assert theirs.status == 0, theirs.err
    assert "prompts differ" not in theirs.err
    ours = itemwise("score-model", "--bank", bank, "--results", results, "--out",
                    tmp_path / "ours.parquet")  # fmt: skip
    assert ours.status == 0
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "theirs.parquet", "scores"),
        read_table(tmp_path / "ours.parquet", "scores"),
    )


def test_other_prompts_metrics_and_missing_items_are_told(results, bank, itemwise, tmp_path):
    table = read_table(results, "evaluations")
    table["prompt_hash"] = table["prompt_hash"].where(table["task"] != "words", "0" * 64)
    table["harness"] = "0.4.9"
    dropped = table.loc[table["task"] == "sums", "item"].iloc[0]
    table = table[table["item"] != dropped]
    table.to_parquet(tmp_path / "changed.parquet")
    before = itemwise("score-model", "--bank", bank, "--results", results,
                      "--out", tmp_path / "before.parquet")  # fmt: skip
    assert before.status == 0
    done = itemwise("score-model", "--bank", bank, "--results", tmp_path / "changed.parquet",
                    "--metric", "vocabulary=acc", "--out", tmp_path / "after.parquet")  # fmt: skip
    assert done.status == 0, done.err
    for told in ("all prompts differ", "scored by acc, the bank was calibrated on acc_norm",
                 "version of the harness: 0.4.9, the calibration's: 0.4.13",
                 "1 of 6 items are missing"):  # fmt: skip
        assert told in re.sub(r"\s+", " ", done.err)
    after = read_table(tmp_path / "after.parquet", "scores").set_index("benchmark")
    assert after.loc["sums", "readout"] == "process"


def test_any_other_metric_or_filter_is_told(results, bank, itemwise, tmp_path):
    """Also where one name begins with the other, and where the filter alone differs."""
    card = json.loads((bank / "bank.json").read_text())
    card["benchmarks"]["vocabulary"]["metric"] = "acc"
    changed = shutil.copytree(bank, tmp_path / "bank")
    (changed / "bank.json").write_text(json.dumps(card))
    done = itemwise("score-model", "--bank", changed, "--results", results,
                    "--metric", "vocabulary=acc_norm", "--filter", "sums=flexible")  # fmt: skip
    assert done.status == 0, done.err
    said = re.sub(r"\s+", " ", done.err)
    assert "vocabulary: scored by acc_norm, the bank was calibrated on acc" in said
    assert (
        "sums: scored by exact_match (flexible), the bank was calibrated on exact_match (strict)"
        in said
    )
    assert "calibrated on" not in itemwise("score-model", "--bank", bank, "--results", results).err


def test_other_documents_under_the_same_ids_are_told(results, bank, itemwise, tmp_path):
    table = read_table(results, "evaluations").assign(prompt_hash=None, doc_hash="0" * 64)
    table.to_parquet(tmp_path / "t.parquet")
    done = itemwise("score-model", "--bank", bank, "--results", tmp_path / "t.parquet")
    assert "all documents differ from the calibration's" in re.sub(r"\s+", " ", done.err)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: pd.concat([t, t.head(1)]), "occurs twice"),
        (lambda t: t.assign(item="x" + t["item"], doc_hash="y", benchmark="chess"),
         "they are of chess"),
        (lambda t: t.assign(response=0.5), "0.5 is neither 0 nor 1"),
        (lambda t: t[t["metric"] != "acc_norm"], "no metric 'acc_norm'"),
    ],
    ids=["twice", "another benchmark", "graded", "no metric"],
)  # fmt: skip
def test_results_that_cannot_be_scored_are_refused(change, message, results, bank, itemwise,
                                                   tmp_path):  # fmt: skip
    change(read_table(results, "evaluations")).to_parquet(tmp_path / "t.parquet")
    done = itemwise("score-model", "--bank", bank, "--results", tmp_path / "t.parquet",
                    "--out", tmp_path / "s.parquet")  # fmt: skip
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "s.parquet").exists()


def test_items_without_prompts_make_no_task(bank, tmp_path):
    from itemwise.harness.export import write_tasks

    made = read_bank(bank)
    items = made.items.drop(columns="prompt")
    left_out = write_tasks(tmp_path / "tasks", items, made.selection)
    assert len(left_out) == 2
    assert not (tmp_path / "tasks").exists()
    scored = made.items.assign(
        settings=[json.dumps({**json.loads(s), "process_results": "code"})
                  for s in made.items["settings"]]
    )  # fmt: skip
    assert "code of its own" in write_tasks(tmp_path / "tasks", scored, made.selection)[0]


@pytest.fixture
def adapt(bank, tiny_model, tasks, itemwise, tmp_path):
    """Return a function that runs a live adaptive evaluation."""

    def run(*more, ledger="ledger"):
        return itemwise(
            "adapt-model", "--bank", bank, "--lm", tiny_model, "--device", "cpu",
            "--include-path", tasks, "--ledger", tmp_path / ledger, "--subject", "lab/tiny",
            "--rule", "adaptive:min_length=2,max_length=5,batch=2",
            "--out", tmp_path / "trace.parquet", *more,
        )  # fmt: skip

    return run


def test_a_live_run_equals_its_replay_and_its_rerun(adapt, results, bank, itemwise, tmp_path):
    done = adapt("--record", tmp_path / "r.json", "--out-scores", tmp_path / "s.parquet",
                 "--figure", tmp_path / "trace.png")  # fmt: skip
    assert done.status == 0, done.err
    live = read_table(tmp_path / "trace.parquet", "cat_traces").drop(columns="seconds")
    assert live.groupby("benchmark")["step"].max().to_dict() == {"vocabulary": 5, "sums": 5}
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["batches"] == 6
    assert 0 < record["seconds_of_the_model"] <= record["seconds"]
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    assert read_table(tmp_path / "s.parquet", "scores")["readout"].tolist() == ["adaptive"] * 2
    replayed = itemwise("adapt-model", "--bank", bank, "--replay", results, "--rule",
                        "adaptive:min_length=2,max_length=5,batch=2",
                        "--out", tmp_path / "replay.parquet")  # fmt: skip
    assert replayed.status == 0, replayed.err
    again = read_table(tmp_path / "replay.parquet", "cat_traces").drop(columns="seconds")
    pd.testing.assert_frame_equal(again, live)
    resumed = adapt("--record", tmp_path / "r.json")
    assert resumed.status == 0
    assert "10 answers are in the ledger" in resumed.err
    assert json.loads((tmp_path / "r.json").read_text())["batches"] == 0  # all from the ledger


def test_a_test_of_the_whole_form_gives_the_score_of_score_model(results, bank, itemwise, tmp_path):
    scored = itemwise("score-model", "--bank", bank, "--results", results,
                      "--out", tmp_path / "form.parquet")  # fmt: skip
    adapted = itemwise("adapt-model", "--bank", bank, "--replay", results, "--rule",
                       "whole:batch=4", "--out", tmp_path / "trace.parquet",
                       "--out-scores", tmp_path / "adaptive.parquet")  # fmt: skip
    assert (scored.status, adapted.status) == (0, 0), adapted.err
    theirs = read_table(tmp_path / "form.parquet", "scores")
    ours = read_table(tmp_path / "adaptive.parquet", "scores")
    pd.testing.assert_frame_equal(ours, theirs, check_like=True)
    assert "the whole form was asked" in adapted.err
    last = read_table(tmp_path / "trace.parquet", "cat_traces").groupby("benchmark").last()
    each = theirs[theirs["benchmark"] != "overall"]  # that of all is no test of its own
    assert last["predicted"].to_dict() == pytest.approx(
        each.set_index("benchmark")["predicted"].to_dict()
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--rule", "adaptive:min_length=50,max_length=60"), "asks at least 50"),
        (("--budget", "1", "--rule", "adaptive:min_length=2"), "need 4; raise it"),
        (("--rule", "adaptive:speed=9"), "is not one of the settings"),
        (("--form", "Z"), "no form 'Z'"),
        (("--start-at", "chess=1"), "no benchmark chess"),
        (("--start-at", "sums=high"), "is not a number"),
    ],
)
def test_adaptive_mistakes_are_refused(more, message, adapt, tmp_path):
    done = adapt(*more)
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "trace.parquet").exists()


def test_a_bank_is_refused_before_the_model_is_loaded(adapt, tmp_path):
    (tmp_path / "empty").mkdir()
    done = adapt("--lm", tmp_path / "empty", "--rule", "adaptive:min_length=50,max_length=60")
    assert "asks at least 50" in done.err


def test_a_task_that_fails_midway_keeps_what_was_learned(adapt, tmp_path, monkeypatch):
    from itemwise.harness import evaluate

    ask = evaluate.ask_documents

    def failing(lm, suite, documents, ledger, notice):
        if documents[0].task == "sums" and len(ledger.answers) > 4:
            raise RuntimeError("the server went away")
        ask(lm, suite, documents, ledger, notice)

    monkeypatch.setattr(evaluate, "ask_documents", failing)
    done = adapt("--record", tmp_path / "r.json")
    assert done.status not in (0, 2)
    kept = read_table(tmp_path / "trace.parquet", "cat_traces")["benchmark"].value_counts()
    assert kept["vocabulary"] == 5
    assert 0 < kept["sums"] < 5
    assert "server went away" in json.loads((tmp_path / "r.json").read_text())["failed"]["sums"]
    monkeypatch.undo()
    assert adapt().status == 0


def test_checkpoints_are_followed_and_a_broken_one_left_out(
    bank, tiny_model, tasks, itemwise, tmp_path
):
    (tmp_path / "lab" / "broken").mkdir(parents=True)
    later = shutil.copytree(tiny_model, tmp_path / "lab" / "step2")
    done = itemwise(
        "adapt-checkpoints", "--bank", bank, "--lms", tiny_model, tmp_path / "lab" / "broken",
        later, "--ledger", tmp_path / "ledger", "--include-path", tasks, "--device", "cpu",
        "--rule", "adaptive:max_length=4", "--traces", tmp_path / "traces",
        "--out", tmp_path / "scores.parquet", "--out-measures", tmp_path / "measures.parquet",
        "--record", tmp_path / "r.json",
    )  # fmt: skip
    assert str(done.status).startswith("itemwise adapt-checkpoints: error: 1 of 3"), done.err
    scores = read_table(tmp_path / "scores.parquet", "scores")
    assert scores["subject"].nunique() == 2
    assert scores["n_items"].eq(4).all()
    (reason,) = json.loads((tmp_path / "r.json").read_text())["failed"].values()
    assert "does not load" in reason
    measured = read_table(tmp_path / "measures.parquet", "checkpoint_measures")
    assert measured["n_checkpoints"].eq(2).all()


def test_a_list_of_checkpoints_is_followed_into_trajectories(
    bank, tiny_model, tasks, itemwise, tmp_path
):
    for step in (10, 100):
        shutil.copytree(tiny_model, tmp_path / "lab" / "run" / f"step-{step}")
    listed = itemwise("list-checkpoints", "--folder", tmp_path / "lab" / "run",
                      "--tokens-per-step", "1000", "--out", tmp_path / "list.parquet")  # fmt: skip
    assert listed.status == 0
    adapted = itemwise(
        "adapt-checkpoints", "--bank", bank, "--checkpoints", tmp_path / "list.parquet",
        "--ledger", tmp_path / "ledger", "--include-path", tasks, "--device", "cpu",
        "--rule", "adaptive:max_length=4", "--traces", tmp_path / "traces",
        "--out", tmp_path / "scores.parquet",
    )  # fmt: skip
    assert adapted.status == 0, adapted.err
    built = itemwise("build-trajectories", "--scores", tmp_path / "scores.parquet",
                     "--checkpoints", tmp_path / "list.parquet", "--out",
                     tmp_path / "made")  # fmt: skip
    assert built.status == 0, built.err
    made = read_table(tmp_path / "made" / "trajectories.parquet", "trajectories")
    assert set(made["model"] + "@" + made["revision"]) == {"lab/run@step-10", "lab/run@step-100"}
    assert made["tokens"].isin([10_000, 100_000]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lms", "{folder}/none"), "--lm {folder}/none: no such folder"),
        (("--lms", "org/model", "--bank", "{folder}/none"), "{folder}/none: no such folder"),
        (
            ("--lms", "org/model", "--include-path", "{folder}"),
            "unknown to the harness; give the folder of their task files by",
        ),
        (("--lms", "org/model", "--ledger", "{folder}/file"), "is a file; --ledger names"),
        (("--checkpoints", "{folder}/two.csv"), "lists 2 models (a, b)"),
    ],
)
def test_mistakes_that_every_checkpoint_would_make_are_told_at_once(
    options, message, bank, itemwise, tmp_path
):
    (tmp_path / "file").touch()
    (tmp_path / "two.csv").write_text(
        "model,revision,step,tokens,dtype,location\na,main,1,,,\nb,main,1,,,\n"
    )
    given = [text.format(folder=tmp_path) for text in options]
    done = itemwise("adapt-checkpoints", "--bank", bank, "--ledger", tmp_path / "ledger",
                    "--traces", tmp_path / "traces", "--out", tmp_path / "s.parquet",
                    *given)  # fmt: skip
    assert done.status == 2
    assert message.format(folder=tmp_path) in done.err
    assert "did you mean" not in done.err  # a task that is named alike is another benchmark
    assert not (tmp_path / "traces").exists()


def test_options_for_what_the_bank_or_the_results_do_not_have(results, bank, itemwise, tmp_path):
    scored = ("score-model", "--bank", bank, "--results", results)
    adapted = ("adapt-model", "--bank", bank, "--out", tmp_path / "t.parquet", "--replay")
    other = tmp_path / "other.parquet"
    table = read_table(results, "evaluations")
    table.assign(item="x" + table["item"], doc_hash="y").to_parquet(other)
    for words, message in (
        ((*scored, "--metric", "vocabular=acc"), "did you mean 'vocabulary'?"),
        ((*adapted, results, "--filter", "chess=x"), "--filter chess: the bank has no such"),
        ((*scored, "--subject", "nobody"), "column 'subject': has no 'nobody'; it has lab/tiny"),
        ((*adapted, other), "the results hold no item of form 'A'"),
    ):
        done = itemwise(*words)
        assert done.status == 2
        assert message in done.err
    assert itemwise(*scored, "--subject", "lab/tiny").status == 0


def test_what_differs_from_the_rules_that_are_corrected_is_told(bank, caplog):
    from dataclasses import replace

    from itemwise.adaptive.live import make_tests
    from itemwise.adaptive.rules import Rule, parse_rule

    rows = pd.DataFrame({"benchmark": ["vocabulary", "sums"], "rule": "learnt", "n_items": 5,
                         "settings": Rule(batch=4).settings()})  # fmt: skip
    make_tests(replace(read_bank(bank), cat_calibration=rows), parse_rule("mine:batch=2"))
    assert "(that of 'learnt' has batch=4)" in caplog.text
    assert caplog.text.count("no correction") == 1
