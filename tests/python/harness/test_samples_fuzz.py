"""Any JSON in a log and in the results beside it: a table that can be written, or a refusal."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemwise.errors import UserError
from itemwise.harness.import_messages import summary, warnings
from itemwise.harness.samples import import_samples
from itemwise.tables.contract import write_table

TIME = "2025-03-01T10-00-00.000001"
RECORDS = 10
"""At most in a log."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, 2**63, -(2**63)])
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["item", "acc", "none", "\ud800", "", "5", "\x00", "²"])
)
names = st.sampled_from(
    ["item", "question", "choices", "text", "mb_sub_idx", "name", "arg_0", "acc", "", "\udfff"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def spoiled(sound: dict) -> st.SearchStrategy:
    """Return mappings in which some entries are missing, replaced or added."""
    changed = st.dictionaries(st.sampled_from([*sound, "acc_norm", ""]), values, max_size=2)
    dropped = st.sets(st.sampled_from(list(sound)), max_size=1)
    return st.builds(
        lambda new, out: {k: v for k, v in {**sound, **new}.items() if k not in out},
        changed,
        dropped,
    )


documents = values | st.sampled_from(
    [{"question": "q1"}, {"item": "shoe", "question": "q"}, "which item?", {"mb_sub_idx": 3}]
)
samples = st.builds(
    lambda record, doc_id, doc: {**record, **({"doc": doc} if "doc" in record else {}),
                                 **({"doc_id": doc_id} if record.get("doc_id") == 0 else {})},
    spoiled({
        "doc_id": 0, "doc": {"question": "q0"}, "target": "x", "resps": [], "filter": "none",
        "metrics": ["acc"], "acc": 1.0, "doc_hash": "d" * 64, "prompt_hash": "p" * 64,
        "arguments": {"gen_args_0": {"arg_0": "Q"}},
    }) | spoiled({"doc_id": 0, "doc": {"question": "q0"}, "arguments": [["Q", " a"]], "acc": 0}),
    st.integers(-1, 5),
    documents,
)  # fmt: skip
records = st.lists(samples | samples | samples | values, min_size=4, max_size=RECORDS)
results = values | spoiled({
    "results": {"t": {}}, "model_name": "org/m", "model_name_sanitized": "org__m",
    "versions": {"t": 1}, "configs": {"t": {"filter_list": [{"name": "loose"}], "num_fewshot": 0}},
    "config": {"model_args": "pretrained=org/m,revision=step1", "model_revision": "main"},
    "lm_eval_version": "0.4.8", "transformers_version": "4.50", "n-shot": {"t": 5},
    "chat_template": None,
})  # fmt: skip
logs = st.sampled_from(
    [
        f"samples_t_{TIME}.jsonl",
        f"samples_t_{TIME}.json",
        "pretrained__org__m,revision__step1_t.jsonl",
    ]
)


def written(folder: Path, name: str, content: list, beside: object, cut: int) -> Path:
    """Write a log, perhaps cut off, and results beside it."""
    text = "\n".join(map(json.dumps, content))
    if name.endswith(".json") or name.startswith("pretrained"):
        text = json.dumps(content, indent=2)
    (folder / name).write_text(text[: len(text) - cut])
    (folder / f"results_{TIME}.json").write_text(json.dumps(beside))
    of_another_model = {"config": {"model_args": "x=y"}, "results": {"t": {}}}
    (folder / "results.json").write_text(json.dumps(of_another_model))
    return folder


def imported(folder: Path) -> tuple:
    """Return what comes in, or the refusal."""
    try:
        return import_samples([folder]), None
    except UserError as error:
        return None, str(error)


def check(name: str, content: list, beside: object, cut: int) -> None:
    """Import a log: what comes out can be told and written, or the refusal names the file."""
    with tempfile.TemporaryDirectory() as place:
        folder = written(Path(place), name, content, beside, cut)
        found, refused = imported(folder)
        if found is None:
            assert str(folder) in refused or "stands for" in refused
            return
        assert warnings(found) is not None
        assert summary(found.table)
        write_table(found.table, folder / "evaluations.parquet", "evaluations")
        write_table(found.items, folder / "items.parquet", "items")
        assert set(found.items["item"]) == set(found.table["item"])


quiet = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@settings(quiet, max_examples=25)
@given(logs, records, results, st.sampled_from([0, 0, 0, 7]))
def test_no_record_of_any_shape_ends_in_a_traceback(name, content, beside, cut):
    check(name, content, beside, cut)


@pytest.mark.slow
def test_ten_thousand_records_of_any_shape():
    seen = 0

    @settings(quiet, max_examples=2000)
    @given(logs, records, results, st.sampled_from([0, 0, 0, 7]))
    def run(name, content, beside, cut):
        nonlocal seen
        seen += len(content)
        check(name, content, beside, cut)

    run()
    assert seen >= 10_000
