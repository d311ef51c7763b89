"""Proofs of evaluation: the bare harness beside ours, real sample logs, kills."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from common import data_folder, markdown, write_evidence

from itemwise.paths import ROOT
from itemwise.tables.contract import open_parquet, read_table

sys.path.insert(0, str(ROOT / "tests" / "support"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

KILLS = 20
ROUNDS = 3
"""Alternating measurements of the bare harness and ours."""
COMPARED = ("metabench_arc", "metabench_winogrande", "metabench_truthfulqa", "metabench_gsm8k")
SECONDARY = """run: secondary
benchmarks:
  arc:
    sources: [$ITEMWISE_DATA/leaderboard/arc_secondary.responses.parquet]
    full_scores: $ITEMWISE_DATA/leaderboard/full-scores.parquet
    selection: {budget: 100}
    item_metadata: DOCUMENTS
  gsm8k:
    sources: [$ITEMWISE_DATA/leaderboard/gsm8k_secondary.responses.parquet]
    full_scores: $ITEMWISE_DATA/leaderboard/full-scores.parquet
    selection: {budget: 249}
    item_metadata: DOCUMENTS
irt: {reference: never}
split: {method: organization, test: 0.1}
bank: {source: "Open LLM Leaderboard v1 (metabench, secondary forms)", licence: CC BY-NC-SA 4.0}
"""
"""A bank of both secondary forms, every item of them."""


def local_metabench(folder: Path, max_gen_toks: int = 256) -> Path:
    """Write task files that point the harness's own metabench tasks at local files."""
    tasks = Path(find_spec("lm_eval").origin).parent / "tasks" / "metabench"
    items = data_folder() / "metabench-items"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(items.glob("*[!y].parquet")):
        name = path.stem
        for split, file in (("primary", path), ("secondary", items / f"{name}-secondary.parquet")):
            task = f"metabench_{name}" + ("_secondary" if split == "secondary" else "")
            text = (
                f"include: {tasks}/metabench_{name}.yaml\ntask: {task}\ntag: local_metabench\n"
                f"dataset_path: parquet\ndataset_name: null\ntest_split: {split}\n"
                f"dataset_kwargs: {{data_files: {{{split}: {file}}}}}\n"
            )
            if name == "gsm8k":
                text += (
                    "generation_kwargs: {until: ['Question:', '</s>', '<|im_end|>'], "
                    f"do_sample: false, max_gen_toks: {max_gen_toks}}}\n"
                )
            (folder / f"{task}.yaml").write_text(text)
    return folder


def harness() -> None:
    """Measure overhead and check equality beside the bare harness on real items."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager
    from tiny import make_model

    from itemwise.harness.evaluate import evaluate, tabulate
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import LanguageModel, provenance
    from itemwise.harness.suite import Suite

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks = local_metabench(folder / "tasks", max_gen_toks=16)
        model = LanguageModel(str(make_model(folder / "lab" / "tiny", 1, 64, 1024)), device="cpu")
        lm = model.load()
        rows, seconds = [], {"bare": [], "ours": []}
        for turn in range(ROUNDS):
            start = time.perf_counter()
            bare = simple_evaluate(
                lm, tasks=list(COMPARED), bootstrap_iters=0,
                task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
            )["samples"]  # fmt: skip
            middle = time.perf_counter()
            suite = Suite(COMPARED, include_path=tasks)
            about = provenance(model, lm, suite)
            ledger = Ledger(folder / f"ledger{turn}", about)
            evaluate(lm, suite, suite.documents, ledger)
            table = tabulate(suite.documents, ledger, about)
            end = time.perf_counter()
            seconds["bare"].append(middle - start)
            seconds["ours"].append(end - middle)
        for task in COMPARED:
            theirs = {
                (row["doc_hash"], row["filter"], metric): row[metric]
                for row in bare[task] for metric in row["metrics"]
            }  # fmt: skip
            part = table[table["task"] == task]
            mine = {(r.doc_hash, r.filter, r.metric): r.response for r in part.itertuples()}
            different = sum(mine.get(key) != value for key, value in theirs.items())
            rows.append(
                {
                    "task": task,
                    "items": part["item"].nunique(),
                    "values": len(theirs),
                    "values that differ": different + len(set(mine) - set(theirs)),
                }
            )
        n_items = sum(row["items"] for row in rows)
    shown = {k: " / ".join(f"{t:.1f}" for t in v) for k, v in seconds.items()}
    ratio = [ours / bare for ours, bare in zip(seconds["ours"], seconds["bare"], strict=True)]
    text = (
        f"A random transformer of 2 layers (width 64, context 1,024) on {n_items} real metabench "
        "items through the harness's own tasks on CPU, model loaded once; GSM8K generates 16 "
        "tokens. Seconds in alternating rounds: the bare harness (`simple_evaluate`) "
        f"{shown['bare']}, ours with ledger and table {shown['ours']}; ratio "
        f"{' / '.join(f'{r:.2f}' for r in ratio)} (median {sorted(ratio)[len(ratio) // 2]:.2f}), "
        f"{n_items / min(seconds['ours']):.0f} items a second.\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("harness", "Evaluation beside the bare harness", text, "make prove")


def sample_logs() -> None:
    """Import the real logs and score them by a bank of the secondary forms."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        itemwise("import-samples", "--samples", data_folder() / "harness-samples",
                 "--out", folder / "logs.parquet")  # fmt: skip
        table = read_table(folder / "logs.parquet", "evaluations")
        counts = table.groupby(["benchmark", "filter", "metric"])["response"]
        counts = counts.agg(["size", "mean"]).reset_index().rename(columns={"size": "items"})
        tasks = local_metabench(folder / "tasks")
        itemwise("list-documents", "--tasks", "metabench_arc_secondary",
                 "metabench_gsm8k_secondary", "--include-path", tasks,
                 "--out", folder / "documents.parquet")  # fmt: skip
        config = folder / "secondary.yaml"
        config.write_text(SECONDARY.replace("DOCUMENTS", str(folder / "documents.parquet")))
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all",
             "--configfile", config, "--", "results/secondary/bank"],
            cwd=ROOT, check=True,
        )  # fmt: skip
        scored = itemwise(
            "score-model", "--bank", ROOT / "results/secondary/bank",
            "--samples", data_folder() / "harness-samples",
        )  # fmt: skip
    models = open_parquet(data_folder() / "leaderboard/models.parquet").to_pandas()
    true = models[models.iloc[:, 0].astype(str).str.contains("EleutherAI/pythia-14m", regex=False)]
    stated = true.iloc[0].to_dict() if len(true) else "not on the leaderboard"
    text = (
        "## Imported\n\n" + markdown(counts.round(3)) + "\n\n## Scored by a bank of the "
        f"secondary forms\n\n```\n{scored.stdout.strip()}\n{scored.stderr.strip()}\n```\n\n"
        f"The leaderboard's own entry of the model: {stated}"
    )
    write_evidence("sample_logs", "Real sample logs, imported and scored", text, "make prove")


def evaluation_kills() -> None:
    """Kill evaluations at random times; the finished table must be the undisturbed one."""
    from tiny import make_model, make_tasks

    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks = make_tasks(folder / "tasks", 240)
        model = make_model(folder / "lab" / "tiny", 1, 64)
        words = ["evaluate-model", "--lm", model, "--device", "cpu", "--tasks", "words", "sums",
                 "--include-path", tasks, "--chunk", 4]  # fmt: skip
        start = time.perf_counter()
        itemwise(*words, "--ledger", folder / "whole", "--out", folder / "whole.parquet")
        whole_seconds = time.perf_counter() - start
        whole = open_parquet(folder / "whole.parquet")
        kills, equal, finished, held = 0, 0, 0, []
        while kills < KILLS:
            ledger, out = folder / f"ledger{finished}", folder / f"out{finished}.parquet"
            while True:
                command = [sys.executable, "-m", "itemwise", *map(str, words),
                           "--ledger", str(ledger), "--out", str(out)]  # fmt: skip
                process = subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
                )
                if kills == KILLS:
                    process.wait()
                    break
                try:
                    process.wait(timeout=whole_seconds * rng.uniform(0.3, 1.0))
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    kills += 1
                    files = list(ledger.glob("*.jsonl")) if ledger.exists() else []
                    held.append(sum(file.read_bytes().count(b"\n") for file in files))
            finished += 1
            equal += open_parquet(out).equals(whole)
    text = (
        f"`evaluate-model` on 248 items in chunks of 4 ({whole_seconds:.0f} s undisturbed), killed "
        f"by SIGKILL at random moments until it finished, {kills} kills over {finished} "
        f"evaluations; lines of the ledger after each kill: {', '.join(map(str, held))}. Finished "
        f"tables equal to the undisturbed one: {equal} of {finished}."
    )
    write_evidence("evaluation_kills", "Killed evaluations", text, "make prove")


def itemwise(*words) -> subprocess.CompletedProcess:
    """Run a command of ours."""
    return subprocess.run(
        [sys.executable, "-m", "itemwise", *map(str, words)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
