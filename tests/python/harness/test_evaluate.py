"""Evaluation: equal to the bare harness, the same prompts for any subset, killed and resumed."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from itemwise.errors import UserError
from itemwise.tables import read_table


@pytest.fixture(scope="module")
def suite(tasks):
    from itemwise.harness.suite import Suite

    return Suite(["words", "sums"], include_path=tasks)


@pytest.fixture
def ledger(loaded, suite, tmp_path):
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance

    return Ledger(tmp_path / "ledger", provenance(*loaded, suite))


def table_of(loaded, suite, documents, ledger, chunk=64) -> pd.DataFrame:
    from itemwise.harness.evaluate import evaluate, tabulate
    from itemwise.harness.model import provenance

    evaluate(loaded[1], suite, documents, ledger, chunk)
    return tabulate(documents, ledger, provenance(*loaded, suite))


def test_equals_the_bare_harness_item_by_item(loaded, suite, ledger, tasks):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    ours = table_of(loaded, suite, suite.documents, ledger, chunk=7)
    bare = simple_evaluate(
        loaded[1], tasks=["words", "sums"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks)),
    )["samples"]  # fmt: skip
    theirs = {
        (task, row["doc_id"], row["filter"], metric): (row[metric], row["doc_hash"],
                                                        row["prompt_hash"])
        for task, rows in bare.items() for row in rows for metric in row["metrics"]
    }  # fmt: skip
    mine = {
        (r.task, r.doc_id, r.filter, r.metric): (r.response, r.doc_hash, r.prompt_hash)
        for r in ours.itertuples()
    }
    assert mine == theirs
    assert len(mine) == 24 * 2 + 8 * 2
    assert 0 < ours.loc[ours["metric"] == "acc", "response"].mean() < 1


def test_a_subset_gets_the_prompts_of_the_full_task(loaded, suite, tmp_path):
    """The bare harness draws other shots for a subset; here a subset is a part of the whole."""
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance

    words = [d for d in suite.documents if d.task == "words"]
    some = suite.pick([words[i].item for i in (19, 2, 11)], "test")
    assert [d.doc_id for d in some] == [19, 2, 11]
    about = provenance(*loaded, suite)
    full = table_of(loaded, suite, words, Ledger(tmp_path / "full", about))
    part = table_of(loaded, suite, some, Ledger(tmp_path / "part", about))
    both = part.merge(full, on=["item", "metric", "filter"], suffixes=("", "_full"))
    assert len(both) == len(part) == 6
    for column in ("prompt_hash", "doc_id", "response"):
        assert (both[column] == both[f"{column}_full"]).all()
    assert full["prompt_hash"].nunique() == 24


class Dies(Exception):
    """Stands for a kill."""


def test_an_interrupted_evaluation_asks_nothing_twice(loaded, suite, ledger, tmp_path, monkeypatch):
    from itemwise.harness import evaluate as module
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance

    about = provenance(*loaded, suite)
    whole = table_of(loaded, suite, suite.documents, Ledger(tmp_path / "whole", about), chunk=5)
    real, asked = module.ask, []

    def dying(lm, requests, notice):
        if len(asked) == 3:
            raise Dies
        asked.append({(r.task_name, r.doc_id) for r in requests})
        return real(lm, requests, notice)

    monkeypatch.setattr(module, "ask", dying)
    with pytest.raises(Dies):
        table_of(loaded, suite, suite.documents, ledger, chunk=5)
    ledger.close()
    with ledger.path.open("ab") as file:
        file.write(b'{"batch_size": 4, "answers": {"words:1')  # killed within a line
    before = set().union(*asked)
    asked.clear()
    monkeypatch.setattr(module, "ask", lambda *a: (asked.append({(r.task_name, r.doc_id)
                                                  for r in a[1]}), real(*a))[1])  # fmt: skip
    again = Ledger(ledger.path.parent, about)
    assert again.path == ledger.path
    resumed = table_of(loaded, suite, suite.documents, again, chunk=5)
    pd.testing.assert_frame_equal(resumed, whole)
    assert not before & set().union(*asked)
    assert len(before | set().union(*asked)) == len(suite.documents)


def test_other_conditions_have_another_ledger(loaded, suite, tmp_path):
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance

    about = provenance(*loaded, suite)
    paths = {Ledger(tmp_path, {**about, **change}).path for change in (
        {}, {"batch_size": 8}, {"dtype": "bfloat16"}, {"model_hash": "other"},
        {"prompting": {"chat_template": True}}, {"harness": "0.4.12"},
    )}  # fmt: skip
    assert len(paths) == 6
    with pytest.raises(UserError, match="another process is evaluating"):
        Ledger(tmp_path, about), Ledger(tmp_path, about)


def test_smaller_batches_where_memory_does_not_suffice(loaded, suite, ledger):
    from itemwise.harness import model as module

    class Small:
        """A device that holds two requests."""

        batch_size_per_gpu = 8

        def loglikelihood(self, requests):
            if self.batch_size_per_gpu > 2:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            return [(-1.0, False)] * len(requests)

    class Request:
        request_type, repeats = "loglikelihood", 1

    told = []
    answers = module.ask(Small(), [Request()] * 5, told.append)
    assert told == [4, 2]
    assert answers == [[(-1.0, False)]] * 5
    Small.batch_size_per_gpu = 1
    Small.loglikelihood = lambda self, requests: (_ for _ in ()).throw(
        RuntimeError("out of memory")
    )
    with pytest.raises(UserError, match="batch of one"):
        module.ask(Small(), [Request()], told.append)


def test_chat_template_and_shots_change_the_prompt(loaded, tasks):
    from itemwise.harness.suite import Prompting, Suite

    plain = Suite(["words"], include_path=tasks).documents[0]
    chat = Suite(["words"], Prompting(chat_template=True), loaded[1], tasks).documents[0]
    none = Suite(["words"], Prompting(num_fewshot=0), include_path=tasks).documents[0]
    assert chat.prompt.startswith("[user] ")
    assert chat.prompt.count("[assistant]") == 3
    assert none.prompt == "Question: Which word follows 0?\nAnswer:"
    assert len({plain.prompt_hash, chat.prompt_hash, none.prompt_hash}) == 3
    assert plain.doc_hash == chat.doc_hash == none.doc_hash


@pytest.fixture
def command(itemwise, tiny_model, tasks, tmp_path):
    """Return a function that runs the stage on the small task."""

    def run(*more, tasks_asked=("sums",)):
        return itemwise(
            "evaluate-model", "--lm", tiny_model, "--device", "cpu", "--tasks", *tasks_asked,
            "--include-path", tasks, "--ledger", tmp_path / "ledger",
            "--out", tmp_path / "out.parquet", *more,
        )  # fmt: skip

    return run


def test_the_command_writes_table_documents_and_record(command, tmp_path):
    done = command("--record", tmp_path / "r.json", "--out-documents", tmp_path / "d.parquet",
                   "--benchmark-of", "sums=arithmetic", "--subject", "lab/m@7")  # fmt: skip
    assert done.status == 0, done.err
    table = read_table(tmp_path / "out.parquet", "evaluations")
    assert set(table["subject"]) == {"lab/m@7"}
    assert set(table["benchmark"]) == {"arithmetic"}
    assert set(table["filter"]) == {"strict", "flexible"}
    record = json.loads((tmp_path / "r.json").read_text())
    assert (record["documents"], record["asked_now"], record["dtype"]) == (8, 8, "float32")
    assert len(record["model_hash"]) == 64
    documents = read_table(tmp_path / "d.parquet", "documents")
    assert documents["item"].tolist() == list(dict.fromkeys(table["item"]))
    assert command("--record", tmp_path / "r.json", "--benchmark-of", "sums=arithmetic",
                   "--subject", "lab/m@7").status == 0  # fmt: skip
    assert json.loads((tmp_path / "r.json").read_text())["asked_now"] == 0


def test_listed_items_alone(command, tmp_path):
    command()
    table = read_table(tmp_path / "out.parquet", "evaluations")
    some = table["item"].drop_duplicates().tolist()[2:4]
    (tmp_path / "list.txt").write_text("\n".join(some) + "\n")
    assert command("--item-list", tmp_path / "list.txt").status == 0
    few = read_table(tmp_path / "out.parquet", "evaluations")
    assert set(few["item"]) == set(some)
    merged = few.merge(table, on=["item", "filter"])
    np.testing.assert_array_equal(merged["response_x"], merged["response_y"])


@pytest.mark.parametrize(
    ("more", "names", "message"),
    [
        ((), ("word",), "task 'word' is unknown to the harness; did you mean 'words'?"),
        (("--lm-args", "use_cache=x"), ("sums",), "is not passed on"),
        (("--lm-args", "max_gen_toks"), ("sums",), "is not of the form name=value"),
        (("--item-list", "/nowhere.txt"), ("sums",), "cannot be read"),
        (("--item-list", "/dev/null"), ("sums",), "names no item"),
        (("--backend", "abacus"), ("sums",), "backend 'abacus' is unknown"),
        (("--include-path", "/nowhere"), ("sums",), "no such folder"),
    ],
)
def test_mistakes_are_refused(more, names, message, command, tmp_path):
    done = command(*more, tasks_asked=names)
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out.parquet").exists()


def test_a_model_that_does_not_load_is_refused(command, tmp_path):
    (tmp_path / "empty").mkdir()
    done = command("--lm", tmp_path / "empty")
    assert done.status == 2
    assert "does not load" in done.err


def test_generation_longer_than_the_context_is_refused(loaded, suite):
    from itemwise.harness.model import check_context

    class Short:
        max_length, max_gen_toks = 6, 256

    with pytest.raises(UserError, match="task 'sums': generates up to 6 tokens"):
        check_context(Short(), suite)
    check_context(loaded[1], suite)
