"""Sample logs of every layout: right names, right metrics, nothing lost in silence."""

from __future__ import annotations

import json

import pytest

from itemwise.errors import UserError
from itemwise.harness.names import benchmark_of, hash_document, item_of, main_metric
from itemwise.harness.samples import import_samples
from itemwise.tables.contract import read_table

OLD, NEW = "2023-11-05T10-00-00.1", "2026-02-01T09-30-00.25"


def row(doc_id: int, text: str = "", **more) -> dict:
    doc = {"question": text or f"q{doc_id}", "choices": ["a", "b"]}
    return {
        "doc_id": doc_id, "doc": doc, "target": "0",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {doc['question']}"}},
        "resps": [[["-1.0", "False"]]], **more,
    }  # fmt: skip


def write_log(folder, task: str, time: str, rows: list, tail: str = ""):
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(line) + "\n" for line in rows)
    path = folder / f"samples_{task}_{time}.jsonl"
    path.write_text(lines + tail)
    return path


def test_old_rows_without_filter_metrics_and_hashes(tmp_path):
    folder = tmp_path / "org__model"
    write_log(folder, "arc_easy", OLD, [row(i, acc=float(i % 2), acc_norm=1.0) for i in range(4)])
    found = import_samples([tmp_path])
    table = found.table
    assert set(table["subject"]) == {"org/model"}
    assert set(table["filter"]) == {"none"}
    assert table.loc[table["metric"] == "acc", "response"].tolist() == [0, 1, 0, 1]
    first = table.iloc[0]
    assert first["doc_hash"] == hash_document(row(0)["doc"])
    assert first["item"] == item_of("arc_easy", {}, first["doc_hash"])
    assert len(first["prompt_hash"]) == 64
    assert not found.skipped


def test_two_filters_in_an_old_log_by_their_order_and_by_the_results_file(tmp_path):
    rows = [row(i, exact_match=0.0) for i in range(3)] + [row(i, exact_match=1.0) for i in range(3)]
    write_log(tmp_path / "a__b", "gsm8k", OLD, rows)
    table = import_samples([tmp_path]).table
    assert table.groupby("filter")["response"].mean().to_dict() == {
        "strict-match": 0.0, "flexible-extract": 1.0,
    }  # fmt: skip
    write_log(tmp_path / "x", "other", OLD, rows)
    filters = {"filter_list": [{"name": "loose"}, {"name": "tight"}]}
    results = {"model_name": "org/name", "lm_eval_version": "0.4.5", "configs": {"other": filters}}
    (tmp_path / "x" / f"results_{OLD}.json").write_text(json.dumps(results))
    table = import_samples([tmp_path / "x"]).table
    assert table.groupby("filter")["response"].mean().to_dict() == {"loose": 0.0, "tight": 1.0}
    assert set(table["subject"]) == {"org/name"}
    assert set(table["harness"]) == {"0.4.5"}


def test_new_rows_name_filter_and_metrics(tmp_path):
    line = row(5, filter="strict", metrics=["exact_match", "note"], exact_match=1, note=["x"],
               doc_hash="h", prompt_hash="p")  # fmt: skip
    write_log(tmp_path / "m", "t", NEW, [line])
    (only,) = import_samples([tmp_path], subject="lab/m").table.to_dict("records")
    assert (only["filter"], only["metric"], only["response"]) == ("strict", "exact_match", 1.0)
    assert (only["doc_hash"], only["prompt_hash"], only["subject"]) == ("h", "p", "lab/m")


def test_the_later_run_counts_and_repeated_runs_are_listed(tmp_path):
    write_log(tmp_path / "m", "t", NEW, [row(0, acc=1.0), row(1, acc=1.0)])
    write_log(tmp_path / "m", "t", OLD, [row(0, acc=0.0), row(1, acc=1.0), row(2, acc=1.0)])
    found = import_samples([tmp_path])
    assert found.table.sort_values("doc_id")["response"].tolist() == [1, 1, 1]
    assert found.superseded == 2
    (again,) = found.repeated
    assert (again["subject"], again["task"], again["runs"]) == ("m", "t", [OLD, NEW])
    assert (again["items"], len(again["different"])) == (2, 1)


def test_the_import_says_what_came_in(tmp_path, itemwise):
    """Models with fewer items, models evaluated twice (each named once), names of folders."""
    for name in ("lab__a", "lab__b", "lab__c", "flat"):
        right = [row(i, acc=1.0, acc_norm=1.0) for i in range(3)]
        write_log(tmp_path / name, "t", OLD, right[: 2 if name == "lab__c" else 3])
    write_log(tmp_path / "lab__a", "t", NEW, [row(i, acc=0.0, acc_norm=0.0) for i in range(3)])
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet",
                    "--record", tmp_path / "r.json")  # fmt: skip
    assert done.status == 0
    assert done.out.splitlines() == [
        "t, acc (none): 3 models with 3 items; lab/c: 2",
        "t, acc_norm (none): 3 models with 3 items; lab/c: 2",
    ]
    assert ("1 model evaluated more than once (lab/a: t); the run of 2026-02-01 counts; 3 answers "
            "changed") in done.err  # fmt: skip
    assert "named by their folder, which states no organization: flat;" in done.err
    assert len(json.loads((tmp_path / "r.json").read_text())["repeated"][0]["different"]) == 3


def test_items_are_kept_with_their_questions(tmp_path, itemwise):
    for name in ("lab__a", "lab__b"):
        write_log(tmp_path / name, "t", OLD, [row(1, acc=1.0), row(0, acc=1.0)])
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet",
                    "--out-items", tmp_path / "i.parquet", "--benchmark-of", "t=quiz")  # fmt: skip
    assert done.status == 0
    items = read_table(tmp_path / "i.parquet", "items")
    first = items.iloc[0]
    assert first[["benchmark", "task", "doc_id", "text", "gold"]].tolist() == [
        "quiz", "t", 0, "q0", "0",
    ]  # fmt: skip
    assert json.loads(first["choices"]) == ["a", "b"]
    evaluations = read_table(tmp_path / "o.parquet", "evaluations")
    assert set(items["item"]) == set(evaluations["item"])
    assert len(items) == 2


def test_a_benchmark_of_no_task_is_refused(tmp_path):
    write_log(tmp_path / "lab__a", "capitals", OLD, [row(0, acc=1.0)])
    message = "no log is of task 'capitols'; there are logs of capitals; did you mean 'capitals'?"
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        import_samples([tmp_path], benchmarks={"capitols": "geography"})


def test_a_bare_file_names_no_model(tmp_path, monkeypatch):
    path = write_log(tmp_path, "t", OLD, [row(0, acc=1.0)])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{path.name}: .*names the model; give --subject"):
        import_samples([path.name])
    assert set(import_samples([path.name], "lab/m").table["subject"]) == {"lab/m"}
    (tmp_path / f"results_{OLD}.json").write_text('{"model_name": "lab/n"}')
    found = import_samples([path.name])
    assert (set(found.table["subject"]), found.named_by_folder) == ({"lab/n"}, set())


def test_parquet_under_the_name_of_a_csv_is_refused_before_reading(tmp_path, itemwise):
    done = itemwise("import-samples", "--samples", tmp_path / "none", "--out", "x.csv")
    assert done.status == 2
    assert "x.csv: tables are written as parquet; call it x.parquet" in done.err
    assert "itemwise convert-table --in x.parquet --out x.csv" in done.err


def test_partial_runs_join_and_torn_lines_are_listed(tmp_path, itemwise):
    path = write_log(tmp_path / "m", "t", OLD, [row(0, acc=1.0)], tail='{"doc_id": 1, "do')
    write_log(tmp_path / "m", "t", NEW, [row(2, acc=0.0), {"hello": 1}, row(3)])
    done = itemwise("import-samples", "--samples", tmp_path / "m", "--record", tmp_path / "r.json",
                    "--out", tmp_path / "out.parquet")  # fmt: skip
    assert done.status == 0
    assert sorted(read_table(tmp_path / "out.parquet", "evaluations")["doc_id"]) == [0, 2]
    record = json.loads((tmp_path / "r.json").read_text())
    assert f"{path}: line 2: cut off" in record["skipped"][0]
    assert len(record["skipped"]) == 3
    assert record["counts"][0]["items"] == 2


def test_several_models_and_named_items(tmp_path):
    for name in ("a__one", "a__two"):
        lines = [row(i, acc=1.0) for i in range(2)]
        for place, line in enumerate(lines):
            line["doc"]["metabench_idx"] = 70 + place
        write_log(tmp_path / name, "metabench_arc_secondary", NEW, lines)
    table = import_samples([tmp_path]).table
    assert set(table["subject"]) == {"a/one", "a/two"}
    assert set(table["item"]) == {"arc.70", "arc.71"}
    assert set(table["benchmark"]) == {"arc"}


@pytest.mark.parametrize(
    "config",
    [
        {"model_args": "pretrained=org/m,revision={}"},
        {"model_args": {"pretrained": "org/m", "revision": "{}"}},
        {"model_revision": "{}"},
    ],
    ids=["text", "mapping", "resolved"],
)
def test_revisions_in_one_folder_stay_apart(config, tmp_path):
    """The harness names its folder by the model alone."""
    for revision, time, right in (("step1000", OLD, 0.0), ("step2000", NEW, 1.0)):
        write_log(tmp_path / "org__m", "t", time, [row(0, acc=right)])
        stated = json.loads(json.dumps(config).replace("{}", revision))
        results = {"model_name": "org/m", "config": stated}
        (tmp_path / "org__m" / f"results_{time}.json").write_text(json.dumps(results))
    found = import_samples([tmp_path])
    assert found.table.set_index("subject")["response"].to_dict() == {
        "org/m@step1000": 0.0, "org/m@step2000": 1.0,
    }  # fmt: skip
    assert (found.superseded, found.repeated) == (0, [])


def test_documents_count_not_the_numbers_that_logs_give_them(tmp_path):
    """Unsorted `--samples` make the harness label document 7 as 1: the document is right."""
    truth = {row(i)["doc"]["question"]: float(i % 2) for i in (1, 4, 7)}
    lines = [{**row(i, acc=float(i % 2)), "doc_id": label}
             for i, label in ((1, 7), (4, 1), (7, 4))]  # fmt: skip
    write_log(tmp_path / "m", "t", NEW, lines)
    table = import_samples([tmp_path]).table.set_index("item")["response"]
    for question, right in truth.items():
        doc_hash = hash_document({"question": question, "choices": ["a", "b"]})
        assert table[item_of("t", {}, doc_hash)] == right


def test_two_documents_under_one_id_are_refused(tmp_path):
    lines = [row(i, acc=float(i)) for i in range(2)]
    for line in lines:
        line["doc"]["item"] = "same"
    write_log(tmp_path / "m", "t", NEW, lines)
    with pytest.raises(UserError, match="item 'same' stands for 2 different documents"):
        import_samples([tmp_path])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "nowhere", "no such file"),
        (lambda f: f, "no file named samples_"),
        (lambda f: write_log(f, "t", NEW, [], tail="not json\n"), "no usable line"),
    ],
)
def test_nothing_to_import(make, message, tmp_path):
    with pytest.raises(UserError, match=message):
        import_samples([make(tmp_path)])


@pytest.mark.parametrize(
    ("task", "benchmark"),
    [
        ("metabench_arc", "arc"), ("metabench_gsm8k_secondary", "gsm8k"),
        ("metabench_mmlu_secondary_permute", "mmlu"), ("arc_challenge", "arc_challenge"),
    ],
)  # fmt: skip
def test_benchmark_names(task, benchmark):
    assert benchmark_of(task) == benchmark


def test_the_metric_that_counts():
    both = [("none", "acc"), ("none", "acc_norm")]
    assert main_metric("arc_challenge", both) == ("none", "acc_norm")
    assert main_metric("winogrande", both) == ("none", "acc")
    assert main_metric("arc", both, "acc") == ("none", "acc")
    filters = [("strict-match", "exact_match"), ("flexible-extract", "exact_match")]
    assert main_metric("gsm8k", filters) == ("strict-match", "exact_match")
    with pytest.raises(UserError, match="several filters"):
        main_metric("sums", filters)
    with pytest.raises(UserError, match="choose one with --metric"):
        main_metric("sums", [("none", "bleu"), ("none", "ter")])
