"""Sample logs of every layout: right names, right metrics, nothing lost in silence."""

from __future__ import annotations

import json

import pytest
from logs import row, write_log

from itemwise.errors import UserError
from itemwise.harness.names import (
    benchmark_of,
    hash_document,
    item_by_hash,
    item_of,
    main_metric,
)
from itemwise.harness.samples import import_samples
from itemwise.tables.contract import read_table

OLD, NEW = "2023-11-05T10-00-00.1", "2026-02-01T09-30-00.25"


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


def named(doc_id: int, text: str, **more) -> dict:
    line = row(doc_id, text, acc=1.0)
    line["doc"] |= more
    return line


def test_one_id_of_different_documents_in_different_logs_is_refused(tmp_path):
    write_log(tmp_path / "a__m", "t", NEW, [named(0, "old", item="same")])
    write_log(tmp_path / "a__n", "t", NEW, [named(0, "new", item="same")])
    with pytest.raises(UserError, match="item 'same' stands for 2 different documents"):
        import_samples([tmp_path])


def test_a_column_item_that_names_goods_is_no_id(tmp_path, itemwise):
    """Also not in the log of another model in which the goods happen to differ."""
    goods = [named(i, f"price of {i}?", item="shoe") for i in range(3)]
    write_log(tmp_path / "a__m", "shop", NEW, goods)
    write_log(tmp_path / "a__n", "shop", NEW, goods[:1])
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet")
    assert done.status == 0
    assert "shop: the documents have a column that names several of them alike" in done.err
    table = read_table(tmp_path / "o.parquet", "evaluations")
    by_hash = [item_by_hash("shop", hash_document(line["doc"])) for line in goods]
    assert table.groupby("subject")["item"].agg(list).to_dict() == {
        "a/m": by_hash, "a/n": by_hash[:1],
    }  # fmt: skip


def test_documents_that_are_texts_are_named_by_their_hash(tmp_path):
    lines = [{**row(i, acc=1.0), "doc": f"which item is number {i}?"} for i in range(2)]
    write_log(tmp_path / "a__m", "t", NEW, lines)
    found = import_samples([tmp_path])
    assert found.table["item"].tolist() == [
        item_by_hash("t", hash_document(line["doc"])) for line in lines
    ]
    assert set(found.items["text"]) == {line["doc"] for line in lines}


def test_a_data_set_that_holds_a_document_twice_was_run_once(tmp_path, itemwise):
    """Every document counts, as in the harness's score: 1/6, 2/8 and 4/12 of them right."""
    for model, right, n in (("one", 1, 6), ("two", 2, 8), ("three", 4, 12)):
        lines = [row(i, text=f"q{i % 5}", acc=float(i < right)) for i in range(n)]
        write_log(tmp_path / f"a__{model}", "t", NEW, lines)
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet")
    assert done.status == 0
    assert "t: the data set holds 7 documents again; each counts as an item" in done.err
    assert "more than once" not in done.err
    table = read_table(tmp_path / "o.parquet", "evaluations")
    means = 100 * table.groupby("subject")["response"].mean()
    assert means.round(1).to_dict() == {"a/one": 16.7, "a/two": 25.0, "a/three": 33.3}
    first = item_by_hash("t", hash_document(row(0)["doc"]))
    names = table.loc[table["subject"] == "a/three"].sort_values("doc_id")["item"]
    assert names.tolist()[::5] == [first, f"{first}-2", f"{first}-3"]


def test_documents_of_several_tasks_of_a_benchmark_are_no_second_run(tmp_path, itemwise):
    for task, shared in (("capitals", 0), ("rivers", 5)):
        lines = [row(i, text=f"q{i + shared}", acc=1.0) for i in range(6)]
        write_log(tmp_path / "a__m", task, NEW, lines)
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet",
                    "--benchmark-of", "capitals=quiz", "rivers=quiz")  # fmt: skip
    assert "quiz: 1 document in several of its tasks (capitals, rivers): each counts" in done.err
    assert "more than once" not in done.err
    assert "twice" not in done.err
    assert "1 model with 11 items" in done.out


def test_a_copied_log_is_no_second_run(tmp_path, itemwise):
    for folder in ("first", "copy"):
        write_log(tmp_path / folder / "a__m", "t", NEW, [row(0, acc=1.0)])
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet")
    assert "1 model with documents answered twice within one run (a/m: t): a copy" in done.err


def test_values_that_are_no_finite_numbers_are_passed_over(tmp_path, itemwise):
    lines = [row(i, metrics=["acc", "perplexity"], filter="none", acc=float(i), perplexity=-1.5)
             for i in range(2)]  # fmt: skip
    lines += [{**lines[0], **row(i), "acc": float("nan"), "perplexity": float("-inf")}
              for i in (2, 3)]  # fmt: skip
    path = write_log(tmp_path / "a__m", "t", NEW, lines)
    write_log(tmp_path / "a__n", "t", NEW, [row(0, acc=10**400), row(1, acc=1.0)])
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet",
                    "--record", tmp_path / "r.json")  # fmt: skip
    assert done.status == 0
    assert f"skipped {path}: line 3 and 1 more: 'acc' is NaN, no finite number" in done.err
    assert f"skipped {path}: line 3 and 1 more: 'perplexity' is -Infinity" in done.err
    table = read_table(tmp_path / "o.parquet", "evaluations")
    assert table.groupby(["subject", "metric"])["response"].agg(list).to_dict() == {
        ("a/m", "acc"): [0, 1], ("a/m", "perplexity"): [-1.5, -1.5], ("a/n", "acc"): [1],
    }  # fmt: skip
    assert len(json.loads((tmp_path / "r.json").read_text())["skipped"]) == 5


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"filter": ["strict", "loose"]}, """'filter' is ["strict", "loose"], no name"""),
        ({"metrics": {"acc": 1}}, """'metrics' is {"acc": 1}, no list of names"""),
        ({"doc_id": -1}, "'doc_id' is -1, no number of a row"),
        ({"doc_id": 2**70}, "'doc_id' is 1180591620717411303424, no number of a row"),
        ({"doc_id": True}, "'doc_id' is true, no number of a row"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_record_is_skipped_where_others_are_sound(wrong, reason, tmp_path):
    path = write_log(tmp_path / "a__m", "t", NEW, [row(0, acc=1.0), row(1, acc=1.0) | wrong])
    found = import_samples([tmp_path])
    assert len(found.table) == 1
    assert [*map(str, found.skipped)] == [f"{path}: line 2: {reason}"]


@pytest.mark.parametrize(
    ("content", "subject"),
    [
        ({"model_name": 160, "versions": None, "configs": [], "config": "x"}, "160"),
        ([{"model_name": "org/n"}], "a/m"),
        ({"model_name": ["org/n"], "configs": {"t": {"filter_list": {"name": 1}}}}, "a/m"),
        ({"model_name": "org/my__model", "versions": {"t": [1]}}, "org/my__model"),
        ({"model_name_sanitized": "org__n", "config": {"model_args": ["x"]}}, "org/n"),
    ],
)
def test_a_results_file_of_any_shape(content, subject, tmp_path):
    write_log(tmp_path / "a__m", "t", NEW, [row(0, acc=1.0)])
    (tmp_path / "a__m" / f"results_{NEW}.json").write_text(json.dumps(content))
    assert set(import_samples([tmp_path]).table["subject"]) == {subject}


def test_options_shuffled_for_each_run_are_told(tmp_path, itemwise):
    for model in ("m", "n", "o"):
        lines = [row(i, acc=1.0) for i in range(4)]
        for line in lines:
            line["doc"]["choices"] = [model, "b"]
        write_log(tmp_path / f"a__{model}", "gpqa", NEW, lines)
    done = itemwise("import-samples", "--samples", tmp_path, "--out", tmp_path / "o.parquet")
    assert done.status == 0
    assert ("gpqa: the models share hardly an item although their questions agree: 4 questions are "
            "12 items") in done.err  # fmt: skip


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
