"""Layouts of the harness since 2023, whose models they are of, and logs of other tools."""

from __future__ import annotations

import json

import pytest
from logs import row, write_log, write_results

from itemwise.errors import UserError
from itemwise.harness.samples import import_samples
from itemwise.tables.contract import read_table

TIMES = ("2025-04-23T21-51-32.829010", "2025-04-24T21-51-32.829011")
ARGUMENTS = "pretrained=org/{},revision=step1000,dtype=float"


def write_list(folder, name: str, rows: list):
    """Write a log as one list, as the harness did until June 2024."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in rows:
        line["arguments"] = [["Q", " a"]]
    path = folder / name
    path.write_text(json.dumps(rows, indent=2))
    return path


def by_arguments(model: str, task: str) -> str:
    """Name a log as harness 0.4.0 to 0.4.2 did."""
    return f"{ARGUMENTS.format(model).replace('/', '__').replace('=', '__')}_{task}.jsonl"


def scores(table) -> dict[str, float]:
    return table.groupby("subject")["response"].mean().to_dict()


def test_results_under_the_name_of_output_path_name_the_models(tmp_path):
    """`--output_path x/name.json`: `name_<time>.json` beside the logs of all models."""
    for time, model, right in zip(TIMES, ("a/one_1", "b/two__2"), (0.0, 1.0), strict=True):
        write_log(tmp_path / "x", "t", time, [row(i, acc=right) for i in range(3)])
        write_results(tmp_path / "x", f"name_dirty_{time}.json", model_name=model)
    found = import_samples([tmp_path])
    assert scores(found.table) == {"a/one_1": 0.0, "b/two__2": 1.0}
    assert (found.superseded, found.named_by_folder, len(found.table)) == (0, set(), 6)


def test_one_name_for_the_logs_of_several_models_is_refused(tmp_path):
    for time, model in zip(TIMES, ("a/one", "b/two"), strict=True):
        write_log(tmp_path / "x", "t", time, [row(0, acc=1.0)])
        write_results(tmp_path / "x", f"name_{time}.json", model_name=model)
    with pytest.raises(UserError, match="--subject us/m: the logs are of 2 models: a/one, b/two"):
        import_samples([tmp_path], "us/m")


def test_lists_named_by_the_models_arguments(tmp_path):
    """Harness 0.4.0 to 0.4.2; of two runs into one folder the later results.json is left."""
    for model, right in (("one", 0.0), ("two", 1.0)):
        write_list(tmp_path, by_arguments(model, "arc_easy"), [row(0, acc=right)])
        config = {"model_args": ARGUMENTS.format(model)}
        write_results(tmp_path, "results.json", config=config, versions={"arc_easy": 1})
    found = import_samples([tmp_path])
    assert scores(found.table) == {"org/one@step1000": 0.0, "org/two@step1000": 1.0}
    assert set(found.table["task"]) == {"arc_easy"}
    assert found.table.set_index("subject")["task_version"].dropna().to_dict() == {
        "org/two@step1000": "1"
    }
    alone = import_samples([tmp_path / by_arguments("one", "arc_easy")])
    assert scores(alone.table) == {"org/one@step1000": 0.0}


CONDITIONS = {
    "configs": ({"configs": {"t": {"num_fewshot": 25}}, "n-shot": {"t": 5}}, 25, None),
    "n-shot": ({"n-shot": {"t": 5}, "chat_template": None}, 5, "no"),
    "template": ({"chat_template": "{{ m }}", "fewshot_as_multiturn": True}, None, "yes"),
    "template not known": ({"chat_template": "", "n-shot": {"other": 5}}, None, None),
    "wrong kinds": ({"n-shot": {"t": "5"}, "configs": {"t": {"num_fewshot": -1}}}, None, None),
    "nothing": ({}, None, None),
}


@pytest.mark.parametrize("stated", CONDITIONS)
def test_shots_and_template_come_from_the_results(stated, tmp_path):
    content, shots, template = CONDITIONS[stated]
    write_log(tmp_path / "m", "t", TIMES[0], [row(0, acc=1.0)])
    write_results(tmp_path / "m", f"results_{TIMES[0]}.json", **content)
    (found,) = import_samples([tmp_path]).table[["num_fewshot", "chat_template"]].to_numpy()
    assert [*found] == [shots, template]


def test_comparing_imported_logs_says_what_else_differs(tmp_path, itemwise):
    """25 shots beside none; a harness that states no version (layout of 0.4.2) beside 0.4.9."""
    old, new = ([row(i, acc=float(i % 2)) for i in range(4)] for _ in range(2))
    config = {"model_args": "pretrained=org/old"}
    write_list(tmp_path / "a", "pretrained__org__old_t.jsonl", old)
    write_results(tmp_path / "a", "results.json", config=config, **{"n-shot": {"t": 25}})
    write_log(tmp_path / "b", "t", TIMES[0], new)
    write_results(tmp_path / "b", f"results_{TIMES[0]}.json", model_name="org/new",
                  lm_eval_version="0.4.9", chat_template=None, configs={"t": {"num_fewshot": 0}},
                  config={"model_dtype": "torch.float16"})  # fmt: skip
    out = tmp_path / "e.parquet"
    assert itemwise("import-samples", "--samples", tmp_path, "--out", out).status == 0
    assert set(read_table(out, "evaluations")["dtype"].dropna()) == {"float16"}
    done = itemwise("compare-models", "--results", out, "--models", "org/old", "org/new")
    assert done.status == 0, done.err
    assert "number of shots differs: 25 (org/old), 0 (org/new)" in done.err
    assert "version of the harness differs: 0.4.0 to 0.4.2 (org/old), 0.4.9 (org/new)" in done.err


def test_the_task_of_a_log_named_by_arguments_is_not_guessed(tmp_path):
    path = write_list(tmp_path, by_arguments("one", "arc_easy"), [row(0, acc=1.0)])
    with pytest.raises(UserError, match=r"no results.json beside it tells the two apart") as raised:
        import_samples([tmp_path])
    assert str(path) in str(raised.value)


def test_lists_with_the_time_of_the_run(tmp_path):
    """Two months of 2024: `samples_<task>_<time>.json`."""
    write_list(tmp_path / "org__m", f"samples_t_{TIMES[0]}.json", [row(0, acc=1.0), row(1, acc=0)])
    write_results(tmp_path / "org__m", f"results_{TIMES[0]}.json", model_name="org/m")
    assert scores(import_samples([tmp_path]).table) == {"org/m": 0.5}


def test_samples_logged_to_weights_and_biases_have_no_model(tmp_path):
    path = write_list(tmp_path, "arc_easy_eval_samples.json", [row(0, acc=1.0)])
    table = import_samples([path], "org/m").table
    assert table[["subject", "task"]].to_numpy().tolist() == [["org/m", "arc_easy"]]


def test_a_list_that_is_cut_off_keeps_what_is_whole(tmp_path):
    name = f"samples_t_{TIMES[0]}.json"
    path = write_list(tmp_path / "org__m", name, [row(i, acc=1.0) for i in range(3)])
    path.write_text(path.read_text()[:-40])
    found = import_samples([tmp_path])
    assert found.table["doc_id"].tolist() == [0, 1]
    assert [*map(str, found.skipped)] == [f"{path}: record 3: cut off or no sample of the harness"]


def test_a_first_line_that_is_a_list_is_one_line(tmp_path):
    path = write_log(tmp_path / "org__m", "t", TIMES[0], [[1], row(0, acc=1.0)])
    found = import_samples([tmp_path])
    assert len(found.table) == 1
    assert [*map(str, found.skipped)] == [f"{path}: line 1: cut off or no sample of the harness"]


FOREIGN = {
    "HELM": [{"instance_id": "id1", "train_trial_index": 0, "stats": []}],
    "Inspect": {"version": 2, "status": "success", "eval": {"task": "arc"}, "samples": []},
    "every eval ever": {"schema_version": "0.3.0", "evaluation_id": "x", "sample_id": "s"},
    "OpenAI evals": {"spec": {"eval_name": "x"}},
}


@pytest.mark.parametrize("tool", FOREIGN)
@pytest.mark.parametrize("indent", [None, 2])
def test_logs_of_other_tools_are_named_once(tool, indent, tmp_path, itemwise):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(FOREIGN[tool], indent=indent))
    for given in ([tmp_path], sorted(tmp_path.glob("*.json"))):
        done = itemwise("import-samples", "--samples", *given, "--out", tmp_path / "o.parquet")
        assert done.status == 2
        assert f"{tmp_path / 'a.json'}" in done.err
        assert done.err.count(f"a log of {tool}; only sample logs of lm-evaluation-harness") == 1
        assert "long table (parquet or CSV) with the columns subject, item, response" in done.err


def test_packed_logs_of_inspect(tmp_path):
    (tmp_path / "x.eval").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    for given in (tmp_path, tmp_path / "x.eval"):
        with pytest.raises(UserError, match=r"x\.eval: a log of Inspect"):
            import_samples([given])


def test_other_files_of_the_harness_say_what_they_are(tmp_path):
    write_results(tmp_path, "results.json", results={"t": {"acc,none": 1}}, config={})
    with pytest.raises(UserError, match=r"a results file of .*run lm-eval with --log_samples"):
        import_samples([tmp_path])
    (tmp_path / "results.json").unlink()
    old = [{"doc_id": 0, "prompt_0": "Q", "acc": "True", "truth": "1"}]
    (tmp_path / "t_write_out_info.json").write_text(json.dumps(old))
    with pytest.raises(UserError, match=r"a --write_out file of .* before 0\.4\.0"):
        import_samples([tmp_path / "t_write_out_info.json"])


def test_reported_cases(real_data):
    """Inputs of users' reports, where they are at hand."""
    cases = real_data / "cases"
    if not cases.is_dir():
        pytest.skip("real data: has no folder cases/")
    expected = {
        "03-output-path-json": {"org-a/llama-ndp-422": 30, "org-b/qwen-tiny": 30},
        "06-json-list-logs/v042": {
            "EleutherAI/pythia-160m@step100000": 12, "EleutherAI/pythia-410m@step100000": 12,
        },
        "06-json-list-logs/mid24": {
            "EleutherAI/pythia-160m@step100000": 12, "EleutherAI/pythia-410m@step100000": 12,
        },
        "08-infinite-metric": {"org/m1": 7},
        "12-text-documents": {"org/m": 10},
    }  # fmt: skip
    for case, sizes in expected.items():
        assert import_samples([cases / case]).table.groupby("subject").size().to_dict() == sizes


def test_logs_of_other_tools_of_real_data(real_data):
    for folder, tool in (("helm", "HELM"), ("inspect", "Inspect"), ("every_eval_ever", "every")):
        if not (real_data / "logs" / folder).is_dir():
            pytest.skip("real data: has no folder logs/")
        with pytest.raises(UserError, match=f"a log of {tool}"):
            import_samples([real_data / "logs" / folder])
