"""Proof of the 360 suite: every row run by its command, on tiny data and a tiny model."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import markdown, write_evidence

from itemwise.analyses import suite
from itemwise.cli.main import main
from itemwise.paths import ROOT
from itemwise.tables.contract import read_table

sys.path.insert(0, str(ROOT / "tests" / "support"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODEL = ["--lm", "run/checkpoint-60", "--name", "tiny", "--revision", "checkpoint-60",
         "--step", "60", "--tokens", "500"]  # fmt: skip


class Judge(BaseHTTPRequestHandler):
    """A stub of an OpenAI-compatible server: the score is the length of the question mod 10."""

    def do_POST(self):
        """Answer a question."""
        question = self.rfile.read(int(self.headers["Content-Length"]))
        text = f"Fine.\nSCORE: {1 + len(question) % 10}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    def log_message(self, *arguments):
        """Keep quiet."""


def make_bank(folder: Path) -> None:
    """Export a bank of 24 items of a tiny task, calibrated on simulated answers."""
    from banks import build, export
    from tiny import make_tasks

    from itemwise.irt.population import draw_items
    from itemwise.irt.simulation import simulate_responses

    make_tasks(folder / "tasks")
    documents = folder / "documents.parquet"
    command = ["list-documents", "--tasks", "words", "--include-path", str(folder / "tasks"),
               "--benchmark-of", "words=vocabulary", "--out", str(documents)]  # fmt: skip
    assert main(command) == 0
    items = read_table(documents, "documents")
    parameters = draw_items(np.random.default_rng(0), "vocabulary", len(items), 0.0)
    parameters["item"] = items["item"].to_numpy(object)
    parameters["a"] = parameters["a"].abs()
    theta = np.random.default_rng([0, 1]).normal(size=200)
    responses = simulate_responses(parameters, theta, seed=0)
    build(folder, "vocabulary", 0, responses, items.drop(columns="benchmark"), 10)
    assert export(folder, folder / "bank", names=("vocabulary",)) == 0


def suite_rows() -> None:
    """Run every row of the suite by its own command and list them with their times."""
    from tiny_suite import SEQUENCES, make_checkpoints, settings

    server = HTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.environ["HF_DATASETS_CACHE"] = f"{name}/cache"
        os.chdir(name)
        try:
            make_checkpoints(Path("run"), SEQUENCES[:4])
            given = settings(Path("data"), f"http://127.0.0.1:{server.server_port}/v1")
            make_bank(Path("made"))
            given["bank"] = {"bank": "made/bank", "include_path": "made/tasks"}
            rows = [run_row(row, given) for row in suite.load().itertuples()]
        finally:
            os.chdir(here)
            server.shutdown()
    table = pd.DataFrame(rows)
    seconds = table["seconds"].astype(float).sum()
    where = "CPU" if DEVICE == "cpu" else torch.cuda.get_device_name()
    text = (
        f"{len(rows)} rows, every one by its own command, offline, on a GPT-2 of two layers "
        "trained on the spot and small data of the real form (`tests/support/tiny_suite.py`); the "
        f"judge is a stub server. Together {seconds:.0f} s on the {where}, weights loaded for each "
        "command. Without `--set` the same commands take their data from the hub.\n\n"
        + markdown(table)
    )
    write_evidence("suite_rows", "Every row of the 360 suite", text, "make prove")


def run_row(row, given: dict[str, dict]) -> dict[str, str]:
    """Run one row and return what is shown of it."""
    values = [
        f"{name}.{key}={value if isinstance(value, str) else json.dumps(value)}"
        for name in dict.fromkeys((row.analysis, row.name))
        for key, value in given.get(name, {}).items()
    ]
    command = ["profile-checkpoints", *MODEL, "--analyses", row.name, "--set", *values,
               "--store", "store", "--out", "out", "--device", DEVICE]  # fmt: skip
    start = time.perf_counter()
    assert main(command) == 0, row.name
    seconds = time.perf_counter() - start
    table = read_table(f"out/tiny/checkpoint-60/{row.name}.parquet", "measures")
    headline = table[(table["metric"] == row.metric) & (table["group"] == "")].iloc[0]
    shown = shlex.join(["itemwise", *command]).replace("|", "\\|")
    return {
        "row": row.name,
        "headline": row.metric,
        "value": f"{headline['value']:.4g}",
        "n": str(headline["n"]),
        "measures": str(len(table)),
        "seconds": f"{seconds:.1f}",
        "command": f"`{shown}`",
    }
