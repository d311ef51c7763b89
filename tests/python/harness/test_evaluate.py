"""Evaluation: equal to the bare harness, the same prompts for any subset, killed and resumed."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pandas as pd
import pytest

from itemwise.errors import UserError
from itemwise.tables.contract import read_table


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


def test_documents_that_the_data_set_holds_twice_are_all_evaluated(loaded, tmp_path):
    """Under the names that imported logs give them, so that the mean is the harness's score."""
    from tiny import make_tasks

    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance
    from itemwise.harness.suite import Suite

    folder = make_tasks(tmp_path / "tasks", 4)
    data = (folder / "sums.jsonl").read_text().splitlines(keepends=True)
    (folder / "sums.jsonl").write_text("".join([*data[:3], data[0]]))
    suite = Suite(["sums"], include_path=folder)
    names = [d.item for d in suite.documents]
    assert names[3] == f"{names[0]}-2"
    ledger = Ledger(tmp_path / "ledger", provenance(*loaded, suite))
    table = table_of(loaded, suite, suite.documents, ledger)
    assert table.groupby("filter")["item"].nunique().unique().tolist() == [4]


def test_what_a_model_writes_is_run_with_consent_alone(loaded, tmp_path, monkeypatch):
    from tiny import make_tasks

    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance
    from itemwise.harness.suite import CONSENT, Suite

    folder = make_tasks(tmp_path / "tasks", 4)
    with (folder / "sums.yaml").open("a") as task:
        task.write("unsafe_code: true\n")
    suite = Suite(["words", "sums"], include_path=folder)
    ledger = Ledger(tmp_path / "ledger", provenance(*loaded, suite))
    safe = [document for document in suite.documents if document.task == "words"]
    monkeypatch.delenv(CONSENT, raising=False)
    assert len(table_of(loaded, suite, safe, ledger)) > 0
    with pytest.raises(UserError, match=f"'sums': runs code .*{CONSENT}=1"):
        table_of(loaded, suite, suite.documents, ledger)
    monkeypatch.setenv(CONSENT, "1")
    assert "sums" in set(table_of(loaded, suite, suite.documents, ledger)["task"])


def test_a_metric_without_a_finite_value_is_not_administered(loaded, suite, ledger, tmp_path):
    from itemwise.tables.contract import write_table

    documents = suite.documents[:2]
    table_of(loaded, suite, documents, ledger)
    ledger.answers[documents[1].key] = {"none": {"acc": float("-inf"), "acc_norm": 1.0}}
    table = table_of(loaded, suite, documents, ledger)
    write_table(table, tmp_path / "e.parquet", "evaluations")
    assert table.groupby("metric")["response"].count().to_dict() == {"acc": 1, "acc_norm": 2}


def test_equals_the_bare_harness_item_by_item(loaded, suite, ledger, tasks):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    ours = table_of(loaded, suite, suite.documents, ledger, chunk=7)
    bare = simple_evaluate(
        loaded[1], tasks=["words", "sums"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
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


def test_a_ledger_of_another_model_under_this_ones_name_is_refused(loaded, suite, ledger):
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance

    about = provenance(*loaded, suite)
    other = Ledger(ledger.path.parent, {**about, "subject": "lab/other", "model_hash": "f" * 64})
    for one in (ledger, other):
        one.close()
    Ledger(ledger.path.parent, about).close()
    other.path.replace(ledger.path)
    with pytest.raises(UserError, match=r"line 1: holds answers of lab/other \(model_hash f{12}\)"):
        Ledger(ledger.path.parent, about)


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
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        Small.loglikelihood = lambda self, requests, error=error: (_ for _ in ()).throw(error)
        with pytest.raises(UserError, match="batch of one"):
            module.ask(Small(), [Request()], told.append)
    Small.loglikelihood = lambda self, requests: (_ for _ in ()).throw(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        module.ask(Small(), [Request()], told.append)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("doc_to_target: answer", "doc_to_target: 0"),
        ("version: 1.0", "version: 2.0"),
        ("metric: exact_match,", "metric: exact_match, ignore_case: true,"),
        ("max_gen_toks: 6", "max_gen_toks: 5"),
    ],
)
def test_a_changed_task_is_asked_anew(old, new, tiny_model, itemwise, tmp_path):
    """The ledger never answers for a task with another target, version, metric or length."""
    from tiny import make_tasks

    folder = make_tasks(tmp_path / "tasks", n_items=4)
    words = ["evaluate-model", "--lm", tiny_model, "--device", "cpu", "--tasks", "sums", "words",
             "--include-path", folder, "--ledger", tmp_path / "ledger",
             "--record", tmp_path / "r.json", "--out", tmp_path / "out.parquet"]  # fmt: skip
    assert itemwise(*words).status == 0
    changed = [path for path in folder.glob("*.yaml") if old in path.read_text()]
    for path in changed:
        path.write_text(path.read_text().replace(old, new))
    done = itemwise(*words)
    assert done.status == 0, done.err
    asked = json.loads((tmp_path / "r.json").read_text())["asked_now"]
    n_documents = {"sums": 8, "words": 4}
    assert asked == sum(n_documents[path.stem] for path in changed if path.stem in n_documents)
    assert asked > 0


def test_sampled_answers_depend_on_the_question_alone(loaded, tmp_path):
    """A sampling task gives the same answers in one go and in pieces."""
    from tiny import make_tasks

    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import provenance
    from itemwise.harness.suite import Suite

    folder = make_tasks(tmp_path / "tasks", n_items=4)
    path = folder / "sums.yaml"
    path.write_text(path.read_text().replace("do_sample: false", "do_sample: true, temperature: 2"))
    drawn = Suite(["sums"], include_path=folder)
    tables = []
    for name in ("whole", "pieces"):
        ledger = Ledger(tmp_path / name, provenance(*loaded, drawn))
        if name == "pieces":
            later = sorted(drawn.documents, key=lambda d: (-len(d.prompt), d.task, d.doc_id))[4:]
            table_of(loaded, drawn, later, ledger, chunk=4)
        tables.append(table_of(loaded, drawn, drawn.documents, ledger, chunk=4))
    pd.testing.assert_frame_equal(*tables)


class CompletionsServer(BaseHTTPRequestHandler):
    """What an OpenAI-compatible server answers: log-probabilities on echo, else a text."""

    def log_message(self, *words):
        """Print nothing."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        prompts = asked["prompt"]
        prompts = prompts if isinstance(prompts[0], list) else [prompts]
        choices = []
        for index, ids in enumerate(prompts):
            choice = {"index": index, "text": str(len(ids))}
            if asked.get("echo"):
                logs = [None] + [-((7 * t + j) % 13) / 3 for j, t in enumerate(ids[1:])] + [-1.0]
                best = [None] + [{"x": value} for value in logs[1:]]
                choice["logprobs"] = {"token_logprobs": logs, "top_logprobs": best}
            choices.append(choice)
        body = json.dumps({"choices": choices, "model": "m"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_an_openai_compatible_server_is_asked(tiny_model, tasks, itemwise, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    server = HTTPServer(("127.0.0.1", 0), CompletionsServer)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/completions"
    done = itemwise(
        "evaluate-model", "--lm", "served/m", "--backend", "local-completions", "--lm-args",
        f"base_url={url}", f"tokenizer={tiny_model}", "tokenized_requests=true", "max_length=512",
        "--tasks", "words", "sums", "--include-path", tasks, "--batch-size", "1",
        "--ledger", tmp_path / "ledger", "--out", tmp_path / "out.parquet",
    )  # fmt: skip
    server.shutdown()
    assert done.status == 0, done.err
    table = read_table(tmp_path / "out.parquet", "evaluations")
    assert table.groupby("task")["item"].nunique().to_dict() == {"sums": 8, "words": 24}
    # One request a choice, one a generation.
    assert len(server.asked) == 4 * 24 + 8
    strict = table[(table["task"] == "sums") & (table["filter"] == "strict")]
    assert len(strict) == 8


def test_arguments_of_the_backend_are_literals():
    from itemwise.cli.options import literals

    given = {"a": "512", "b": "true", "c": "False", "d": "0.5", "e": "http://x", "f": "None"}
    assert literals(given) == {
        "a": 512,
        "b": True,
        "c": False,
        "d": 0.5,
        "e": "http://x",
        "f": None,
    }


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
    assert set(table["chat_template"]) == {"no"}
    assert set(table["num_fewshot"]) == {0}
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


@pytest.mark.parametrize(
    "tasks_of_the_harness", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_an_unknown_task_is_refused(tasks_of_the_harness, command, tmp_path, monkeypatch):
    from itemwise.harness import suite

    if not tasks_of_the_harness:  # to list them takes ten seconds
        index = suite._index
        monkeypatch.setattr(suite, "_index", lambda include_path, _: index(include_path, False))
    done = command(tasks_asked=("word",))
    assert done.status == 2
    assert "task 'word' is unknown to the harness; did you mean 'words'?" in done.err
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


@pytest.mark.parametrize(
    ("name", "counts"),
    [("generation_config.json", True), ("chat_template.jinja", True), ("vocab.json", True),
     ("merges.txt", True), ("tokenizer.model", True), ("modeling_own.py", True),
     ("templates/other.jinja", True), ("adapter_config.json", True),
     ("optimizer.pt", False), ("trainer_state.json", False), ("README.md", False)],
)  # fmt: skip
def test_a_folder_is_another_model_where_a_file_that_answers_depend_on_changed(
    name, counts, tmp_path
):
    from itemwise.harness.model import LanguageModel, fingerprint

    (tmp_path / "m" / "templates").mkdir(parents=True)
    (tmp_path / "m" / "config.json").write_text("{}")
    seen = []
    for text in ("one", "two"):
        (tmp_path / "m" / name).write_text(text)
        seen.append(fingerprint(LanguageModel(str(tmp_path / "m")), None))
    assert (seen[0] != seen[1]) == counts


def test_an_adapters_folder_counts_and_where_a_model_lies_does_not(tmp_path):
    from itemwise.harness.model import LanguageModel, fingerprint

    for place in ("a/lab/m", "b/lab/m", "adapter"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text("{}")
    here, there = (LanguageModel(str(tmp_path / p / "lab" / "m")) for p in "ab")
    assert fingerprint(here, None) == fingerprint(there, None)
    assert here.title == there.title == here.subject == "lab/m"
    tuned = LanguageModel(here.name, arguments={"peft": str(tmp_path / "adapter")})
    before = fingerprint(tuned, None)
    (tmp_path / "adapter" / "config.json").write_text('{"r": 4}')
    assert fingerprint(tuned, None) != before != fingerprint(here, None)


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(capsys, monkeypatch):
    from itemwise.harness import progress

    clock = iter(range(0, 10_000, 40))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    with progress.Progress(6, "item", "org/model") as bar:
        bar.know("arc 31.9±2.0")
        for _ in range(6):
            bar.update()
    lines = [line for line in capsys.readouterr().err.splitlines() if "org/model" in line]
    assert lines == [f"org/model: {n} of 6 items, {n * 2 / 3:.1f} minutes; arc 31.9±2.0"
                     for n in (2, 4, 6)]  # fmt: skip
