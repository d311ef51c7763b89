"""Inputs that users report in public: what was said of them before, and what is said now."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from common import data_folder, write_evidence

from itemwise.paths import ROOT

BEFORE = "ef8e9c6"
"""The last commit before the first of these faults was mended."""
LONGEST = 400
"""Characters of a cell of the table."""
TIME = "2025-03-01T10-00-00.00000{}"
BUILD = "--out r.parquet --out-items i.parquet --out-subjects s.parquet --out-full-scores f.parquet"
RESOLVE = """
from itemwise.errors import UserError
from itemwise.workflow.config import resolve
try:
    resolve({}), print("accepted")
except UserError as error:
    raise SystemExit(str(error))
"""
HIDDEN = re.compile(r"^(  |usage:|Rscript |\s*$)|\brows? \[|\d+%\|")
"""Lines of messages that say nothing here: progress, the inside of tracebacks."""


@dataclass(frozen=True)
class Case:
    """An input: the fault it stands for, the commands on it, and the test of it.

    Attributes
    ----------
    number : int
    fault : str
    commands : list of str
        Of itemwise; `R/...` is a stage in R, `{...}` a configuration that a run would read.
    test : str
        File and name, below `tests`.
    make : callable, optional
        Writes the inputs into the working folder, where there is no case of them.
    """

    number: int
    fault: str
    commands: list[str]
    test: str
    make: Callable[[], None] | None = None


def real_inputs() -> None:
    """Run every case on the code of before and on that of now."""
    with tempfile.TemporaryDirectory() as scratch:
        before = Path(scratch) / "before"
        before.mkdir()
        tree = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "-x"], cwd=before, input=tree.stdout, check=True)
        (before / ".venv").symlink_to(ROOT / ".venv")
        rows = []
        for case in CASES:
            cells = [answers(case, root) for root in (before, ROOT)]
            rows += [
                (case.number if first else "", case.fault if first else "", f"`{shown(command)}`",
                 *pair, f"`{case.test}`" if first else "")
                for first, command, pair in zip(
                    [True] + [False] * len(case.commands), case.commands,
                    zip(*cells, strict=True), strict=False)
            ]  # fmt: skip
            print(f"case {case.number}", flush=True)
    columns = ("", "fault", "command", f"before ({BEFORE})", "now", "test (below `tests/`)")
    lines = [columns, ["---"] * len(columns), *rows]
    text = (
        "`cases/` are small inputs after users' reports; the others are made by "
        "`benchmarks/real_inputs.py`. Cells are what the command printed and what its tables hold, "
        "shortened; paths that every command of a kind has are left out.\n\n"
        + "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    )
    write_evidence("real_inputs", "Real inputs, before and now", text, "make prove")


def shown(command: str) -> str:
    """Return a command without the options that name where tables go."""
    return re.sub(r" --(out[a-z-]*|record) \S+", "", command.replace(BUILD, "")).strip(' "')


def answers(case: Case, root: Path) -> list[str]:
    """Return what the code of a clone says to each command of a case."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name in ("cases", "logs"):
                Path(name).symlink_to(data_folder() / name)
            if case.make:
                case.make()
            return [answer(command, root) for command in case.commands]
        finally:
            os.chdir(home)


def answer(command: str, root: Path) -> str:
    """Run a command and return its status, its messages and what its table holds."""
    name, *words = shlex.split(command)
    if name.endswith(".R"):
        call = ["Rscript", "--vanilla", str(root / name), *words]
    elif name.startswith("{"):
        call = [sys.executable, "-c", RESOLVE.format(name)]
    else:
        call = [sys.executable, "-m", "itemwise", name, *words]
    environment = os.environ | {"PYTHONPATH": str(root / "python"), "COLUMNS": "10000"}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    lines = [*done.stderr.replace("\r", "\n").splitlines(), *done.stdout.splitlines()]
    said = [re.sub(rf"{root}/|^itemwise [a-z-]+: |^itemwise\.errors\.", "", line)
            for line in lines if not HIDDEN.search(line)]  # fmt: skip
    written = [value for option, value in pairwise(words) if option.startswith("--out")]
    parts = [f"exit {done.returncode}", *(held(written) if done.returncode == 0 else []), *said]
    text = "; ".join(dict.fromkeys(parts)).replace("|", "\\|")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def held(written: list[str]) -> list[str]:
    """Return what tables that a command wrote hold, in few words."""
    table = {name: pd.read_parquet(name) for name in written}
    if "l.parquet" in table:
        pairs = table["l.parquet"][["revision", "step"]].itertuples(index=False)
        return [", ".join(f"{name} is step {step:.0f}" for name, step in pairs)]
    if "r.parquet" in table:
        r, scores = table["r.parquet"], sorted(table["f.parquet"]["full_score"])
        first = "/".join(f"{value:.1f}" for value in scores[:3])
        return [f"{len(r)} subjects, {r.shape[1] - 1} items, {len(scores)} full scores ({first} …)"]
    if "o.parquet" in table:
        sizes = table["o.parquet"].groupby("subject").size()
        return ["rows: " + ", ".join(f"{name} {size}" for name, size in sizes.items())]
    return []


def log(folder: str, rows: list[dict], task: str = "toy", time: int = 1, **results) -> None:
    """Write a sample log and the results beside it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    stamp = TIME.format(time)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    Path(folder, f"samples_{task}_{stamp}.jsonl").write_text(text)
    Path(folder, f"results_{stamp}.json").write_text(json.dumps(results))


def sample(number: int, right: float, document: object = None, prompt: str = "") -> dict:
    """Return a record of a log."""
    doc = {"question": f"q{number}"} if document is None else document
    return {"doc_id": number, "doc": doc, "target": "0", "resps": [], "acc": right,
            "arguments": {"gen_args_0": {"arg_0": f"{prompt}q{number}"}},
            "filter": "none", "metrics": ["acc"]}  # fmt: skip


def one_step_each() -> None:
    """Copy the folders of case 02 whose steps differ."""
    for name in ("checkpoint-10-v2", "step500-tokens2B", "step1000-tokens4B",
                 "stage1-step102500-tokens858B"):  # fmt: skip
        Path("run", name).mkdir(parents=True)
        Path("run", name, "config.json").write_text("{}")


def other_conditions() -> None:
    """Write logs of two models: other shots, other harness."""
    for model, shots, harness in (("old", 25, "0.4.2"), ("new", 0, "0.4.9")):
        log(f"logs2/org__{model}", [sample(i, float(i % 2), prompt=model) for i in range(8)],
            model_name=f"org/{model}", lm_eval_version=harness, chat_template=None,
            configs={"toy": {"num_fewshot": shots}})  # fmt: skip


def passages() -> None:
    """Write results of two models on 30 passages of four questions each."""
    rng = np.random.default_rng(1)
    first = np.repeat(rng.random(30) < 0.7, 4)
    second = np.repeat(rng.random(30) < 0.5, 4)
    items = pd.DataFrame({"item": [f"toy.{i}" for i in range(120)]})
    parts = [items.assign(subject=name, benchmark="toy", response=right.astype(float))
             for name, right in (("org/a", first), ("org/b", second))]  # fmt: skip
    pd.concat(parts).to_parquet("e.parquet")
    items.assign(passage=np.repeat(np.arange(30), 4)).to_csv("items.csv", index=False)


def documents_twice() -> None:
    """Write logs of three models on twelve documents, two of which occur twice."""
    for model, right in (("a", 2), ("b", 3), ("c", 4)):
        rows = [sample(i, float(i < right)) for i in range(10)]
        rows += [sample(i, 0.0, {"question": f"q{i - 2}"}) for i in (10, 11)]
        log(f"logs2/org__{model}", rows, model_name=f"org/{model}")


def eight_repeats() -> None:
    """Write mean scores of eight repeats."""
    pd.DataFrame({"subject": list("abc"), "q1": [0.125, 1, 0.5], "q2": [0, 0.375, 1]}).to_csv(
        "graded.csv", index=False
    )


def shuffled() -> None:
    """Write a table in which every model has ten questions with the options in its own order."""
    pd.DataFrame(
        {"subject": f"org/m{i}", "benchmark": "toy", "item": f"toy.{i}-{question}",
         "response": (i + question) % 2, "task": "gpqa", "doc_id": question}
        for i in range(6) for question in range(10)
    ).to_parquet("long.parquet")  # fmt: skip


def as_csv() -> None:
    """Write the wide table of case 10 as CSV."""
    pd.read_parquet("cases/10-booklets/c28.parquet").iloc[:, :15].dropna().to_csv(
        "x.csv", index=False
    )


def odd_shapes() -> None:
    """Write a log whose results file states numbers and nulls where texts are expected."""
    log("logs2/m", [sample(i, 1.0) | {"filter": ["a"]} for i in range(2)] + [sample(2, 1.0)],
        model_name=7, versions=None)  # fmt: skip


def reserved() -> None:
    """Write responses to an item that is called as the constant of a regression."""
    pd.DataFrame({"subject": list("ab"), "(intercept)": [0, 1], "q2": [1, 0]}).to_csv(
        "w.csv", index=False
    )


def apart() -> None:
    """Write the features of two benchmarks whose models differ."""
    rng = np.random.default_rng(3)
    columns = {"form": "A", "set": "train", "fold": np.resize(np.arange(1, 6), 60)}
    parts = []
    for name in ("one", "two"):
        part = pd.DataFrame({"subject": [f"{name}-{i}" for i in range(60)], "benchmark": name})
        part = part.assign(**columns, full_score=50 + 10 * rng.normal(size=60))
        features = ("linear", "theta", "se", "sub_score")
        part = part.assign(complete=1, **{what: rng.normal(size=60) ** 2 for what in features})
        parts.append(part)
    pd.concat(parts).astype({"fold": "int32", "complete": "int32"}).to_parquet("features.parquet")
    chosen = {"form": "A", "rank": [1, 2] * 2, "information": 1.0, "theta_at_maximum": 0.0}
    table = pd.DataFrame({"benchmark": ["one"] * 2 + ["two"] * 2, "item": list("abcd"), **chosen})
    table.astype({"rank": "int32"}).to_parquet("selection.parquet")


def no_test_subject() -> None:
    """Write a calibrated bank and a test table of another set."""
    names = [f"m{i}" for i in range(6)]
    rng = np.random.default_rng(4)
    answers = pd.DataFrame(rng.integers(0, 2, (6, 4)), columns=list("abcd")).astype("int8")
    for place, (name, values) in enumerate(
        {"subject": names, "set": "validation", "full_score": 50.0}.items()
    ):
        answers.insert(place, name, values)
    answers.to_parquet("w.parquet")
    items = {"item": list("abcd"), "a": 1.0, "d": 0.0, "g": 0.0, "u": 1.0}
    pd.DataFrame({"benchmark": "toy", **items}).to_parquet("p.parquet")


def build(source: str, more: str = "") -> str:
    """Return the command that builds responses."""
    return f"build-responses --benchmark toy --sources {source} {more}{BUILD}"


def imported(folder: str) -> str:
    """Return the command that imports logs."""
    return f"import-samples --samples {folder} --out o.parquet"


RESPONSES, LOGS = "python/responses/test_real_tables.py", "python/harness/test_logs.py"
SAMPLES, COMPARED = "python/harness/test_samples.py", "python/bank/test_comparison.py"
LISTED = "python/analyses/test_checkpoint_lists.py"
NULLS = "cases/09-null-booleans-decimals"
CASES = [
    Case(1, "names of checkpoint folders", [
        "list-checkpoints --folder run --tokens-per-step 100 --out l.parquet",
        "list-checkpoints --folder cases/02-list-checkpoints-folder/run --out l.parquet",
    ], f"{LISTED}::test_folders_are_read_as_revisions_are", one_step_each),
    Case(2, "names that differ by blanks or case", [
        build("cases/04-names-differ-by-space-or-case/form1.csv "
              "cases/04-names-differ-by-space-or-case/form2.csv"),
    ], f"{RESPONSES}::test_case_names_that_differ_by_blanks_or_case"),
    Case(3, "booklets of unlike groups", [
        "fit-irt --responses cases/10-booklets/c28.parquet --out p.parquet",
    ], "python/responses/test_booklets.py::test_fit_says_so_and_linking_is_the_remedy"),
    Case(4, "25 shots beside none, harness 0.4.2 beside 0.4.9", [
        imported("logs2"), "compare-models --results o.parquet --models org/old org/new",
    ], f"{LOGS}::test_comparing_imported_logs_says_what_else_differs", other_conditions),
    Case(5, "paired errors know no clusters", [
        "compare-models --results e.parquet",
        "compare-models --results e.parquet --cluster passage --items items.csv",
    ], "python/bank/test_paired.py::test_clustered_intervals_hold_where_naive_ones_do_not",
        passages),
    Case(6, "`--output_path x/name.json`", [imported("cases/03-output-path-json")],
         f"{LOGS}::test_results_under_the_name_of_output_path_name_the_models"),
    Case(7, "a document twice in a data set", [imported("logs2"), build("o.parquet")],
         f"{SAMPLES}::test_a_data_set_that_holds_a_document_twice_was_run_once", documents_twice),
    Case(8, "`binarize` changes the target", [build("graded.csv")],
         f"{RESPONSES}::test_binarize_is_said_to_change_the_target", eight_repeats),
    Case(9, "logs of 0.4.0 to 0.4.2 and of mid 2024", [
        imported("cases/06-json-list-logs/v042"), imported("cases/06-json-list-logs/mid24"),
    ], f"{LOGS}::test_reported_cases"),
    Case(10, "options shuffled for each run", [build("long.parquet")],
         "python/responses/test_apart.py"
         "::test_shuffled_options_are_told_instead_of_a_lower_coverage", shuffled),
    Case(11, "a value that is infinite", [imported("cases/08-infinite-metric")],
         f"{SAMPLES}::test_values_that_are_no_finite_numbers_are_passed_over"),
    Case(12, "null booleans, decimals, words, delimiters",
         [build(f"{NULLS}/{name}") for name in (
             "pl_long_boolnull.parquet", "dd_wide_dec.parquet", "long_logicalNA.csv",
             "semicolon.csv")],
         f"{RESPONSES}::test_case_null_booleans_and_decimals"),
    Case(13, "commands that take responses, given CSV", [
        "fit-irt --responses x.csv --out p.parquet",
    ], f"{RESPONSES}::test_commands_read_csv_as_the_sources_do", as_csv),
    Case(14, "a benchmark called `computer science`", [
        """ "{'run': 'x', 'benchmarks': {'computer science': {'sources': ['cases'],"""
        """ 'selection': {'budget': 9}}}}" """,
        """ "{'run': 'x', 'benchmarks': {'cs': {'select': 'computer science',"""
        """ 'sources': ['cases'], 'selection': {'budget': 9}}}}" """,
    ], f"{RESPONSES}::test_select_chooses_benchmarks"),
    Case(15, "documents that are texts, goods called item, any JSON", [
        imported("cases/12-text-documents/strdoc"), imported("cases/12-text-documents/shop"),
        imported("logs2"),
    ], "python/harness/test_samples_fuzz.py::test_ten_thousand_records_of_any_shape", odd_shapes),
    Case(16, "an item called `(intercept)`", [build("w.csv")],
         f"{RESPONSES}::test_reserved_names_are_refused_where_they_enter", reserved),
    Case(17, "benchmarks without common models", [
        "R/fit_joint_readout.R --features features.parquet --selections selection.parquet "
        "--out j.parquet --out-terms t.parquet --record j.json",
    ], "testthat/test-joint.R: benchmarks of different models are left out, and said so", apart),
    Case(18, "`name` instead of `lm`", [
        """ "{'run': 'x', 'evaluate': {'lms': [{'name': 'x'}]}}" """,
    ], "workflow/test_config_files.py::test_bad_configuration_fails_before_anything_runs"),
    Case(19, "logs of other tools", [imported("logs/helm"), imported("logs/inspect")],
         f"{LOGS}::test_logs_of_other_tools_are_named_once"),
    Case(20, "an option named `--set`", [
        "simulate-cat --benchmark toy --test w.parquet --parameters p.parquet --out c.parquet",
    ], "python/cli/test_words_of_messages.py::test_messages_name_options_that_exist",
        no_test_subject),
]  # fmt: skip
"""Every fault, with the inputs that show it."""
