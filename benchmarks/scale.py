"""Proof of scale: the largest benchmark of a leaderboard, built within stated memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from common import markdown, write_evidence
from tqdm import tqdm

from itemwise.paths import ROOT
from itemwise.tables.files import read_record

N_SUBJECTS, N_ITEMS = 6000, 14_042
"""MMLU on the Open LLM Leaderboard, half of its 28,632 items."""
SHARD, STEP = 500, 50
"""Models in a shard of the long parquet form, and written at once."""
ITEMWISE = [sys.executable, "-m", "itemwise"]
LIMIT = 6.0
"""Gigabytes that no stage may exceed."""


def models(first: int, n: int, n_items: int = N_ITEMS) -> tuple[list[str], np.ndarray]:
    """Return names of models and their simulated responses, row by row."""
    rng = np.random.default_rng([1, first])
    difficulty = np.random.default_rng(0).standard_normal(n_items)
    chance = 1 / (1 + np.exp(difficulty - rng.standard_normal((n, 1))))
    names = [
        f"organization{i // 8}/language-model-{i}-7b-instruct" for i in range(first, first + n)
    ]
    return names, (rng.random((n, n_items)) < chance).astype(np.int8)


def long_rows(first: int, n: int) -> dict[str, pa.Array]:
    """Return the rows of some models as an evaluations table, texts as dictionaries."""
    names, matrix = models(first, n)
    items = np.arange(N_ITEMS, dtype=np.int32)

    def constant(text: str) -> pa.Array:
        codes = pa.array(np.zeros(matrix.size, np.int32))
        return pa.DictionaryArray.from_arrays(codes, [text])

    item = pa.array(np.tile(items, n))
    return {
        "subject": pa.DictionaryArray.from_arrays(
            pa.array(np.repeat(np.arange(n, dtype=np.int32), N_ITEMS)), names
        ),
        "benchmark": constant("mmlu"),
        "item": pa.DictionaryArray.from_arrays(item, [f"mmlu.{i + 1}" for i in items]),
        "doc_hash": pa.DictionaryArray.from_arrays(item, [f"{i:032x}" for i in items]),
        "metric": constant("acc"),
        "response": pa.array(matrix.ravel().astype(np.float64)),
    }


def write_shards(folder: Path) -> None:
    """Write the long parquet form, many models a shard."""
    for start in tqdm(range(0, N_SUBJECTS, SHARD), desc="shards"):
        writer = None
        path = folder / f"mmlu-{start // SHARD:03d}.parquet"
        for first in range(start, start + SHARD, STEP):
            table = pa.table(long_rows(first, STEP))
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
        writer.close()


def write_archive(path: Path) -> None:
    """Write the form of metabench's archive: one CSV of source, item, correct."""
    numbers = np.arange(1, N_ITEMS + 1)
    writer = None
    for first in tqdm(range(0, N_SUBJECTS, STEP), desc="archive"):
        names, matrix = models(first, STEP)
        source = pa.array(np.repeat(np.array(names, dtype=object), N_ITEMS))
        item, correct = pa.array(np.tile(numbers, STEP)), pa.array(matrix.ravel())
        table = pa.table({"source": source, "item": item, "correct": correct})
        writer = writer or pa.csv.CSVWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def measured(command: list) -> dict[str, float]:
    """Run a command; return its seconds and the peak memory of its largest process (GB)."""
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": time.perf_counter() - began, "GB": usage.ru_maxrss * 1024 / 1e9}


def build(out: Path, source: Path, options: list[str]) -> dict[str, dict]:
    """Build the responses from one source; return what it took."""
    written = {
        "--out": out / "mmlu.parquet", "--out-items": out / "items.parquet",
        "--out-subjects": out / "subjects.parquet", "--out-full-scores": out / "scores.parquet",
        "--record": out / "built.json",
    }  # fmt: skip
    command = [*ITEMWISE, "build-responses", "--benchmark", "mmlu", "--sources", source, *options]
    return {"build_responses": measured([*command, *(p for pair in written.items() for p in pair)])}


def prepare(out: Path) -> dict[str, dict]:
    """Split, cut, screen and preselect what was built; return what each took."""
    found = {}
    found["split_subjects"] = measured(
        ["Rscript", "--vanilla", "R/split_subjects.R", "--subjects", out / "subjects.parquet",
         "--full-scores", out / "scores.parquet", "--folds", 5, "--out", out / "splits.parquet",
         "--record", out / "splits.json"]
    )  # fmt: skip
    found["cut_sets"] = measured(
        [*ITEMWISE, "cut-sets", "--responses", out / "mmlu.parquet",
         "--splits", out / "splits.parquet", "--full-scores", out / "scores.parquet",
         "--benchmarks", "mmlu", "--out-training", out / "cut.parquet",
         "--out-test", out / "test.parquet"]
    )  # fmt: skip
    found["screen_items"] = measured(
        ["Rscript", "--vanilla", "R/screen_items.R", "--training", out / "cut.parquet",
         "--items", out / "items.parquet",
         "--discrimination", "discounted", "--out", out / "screened.parquet",
         "--out-training", out / "training.parquet", "--record", out / "screened.json"]
    )  # fmt: skip
    found["preselect_items"] = measured(
        [*ITEMWISE, "preselect-items", "--training", out / "training.parquet",
         "--items", out / "screened.parquet", "--benchmark", "mmlu", "--size", 350,
         "--draws", 10_000, "--out", out / "preselected.parquet",
         "--out-training", out / "smaller.parquet"]
    )  # fmt: skip
    return found


def check(out: Path) -> None:
    """Check that the matrix that was built is the one that was simulated."""
    record = read_record(out / "built.json")
    assert record["n_subjects"] == N_SUBJECTS
    assert record["n_responses"] == N_SUBJECTS * N_ITEMS
    table = pq.read_table(out / "mmlu.parquet", columns=["subject", "mmlu.1", f"mmlu.{N_ITEMS}"])
    table = table.to_pandas().set_index("subject")
    for first in range(0, N_SUBJECTS, STEP):
        names, matrix = models(first, STEP)
        assert (table.loc[names].to_numpy() == matrix[:, [0, -1]]).all()


def build_scale() -> None:
    """Build MMLU from 84 million long rows, as shards and as the archive's CSV."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "shards").mkdir()
        forms = {
            "long parquet shards of 500 models": (
                folder / "shards",
                write_shards,
                ["--metric", "acc"],
            ),
            "CSV of metabench's archive": (folder / "mmlu.csv", write_archive, []),
        }
        for name, (source, write, options) in forms.items():
            write(source)
            files = sorted(source.glob("*")) if source.is_dir() else [source]
            size = sum(file.stat().st_size for file in files) / 1e9
            out = folder / "out"
            found = build(out, source, options)
            check(out)
            if source.is_dir():  # the same matrix either way
                found |= prepare(out)
            for stage, took in found.items():
                rows.append(
                    {
                        "source": f"{name} ({size:.2f} GB)",
                        "stage": stage,
                        "seconds": f"{took['seconds']:.0f}",
                        "peak memory, GB": f"{took['GB']:.2f}",
                        f"below {LIMIT:g} GB": "yes" if took["GB"] < LIMIT else "NO",
                    }
                )
            for file in files:
                file.unlink()
    text = (
        f"{N_SUBJECTS:,} models x {N_ITEMS:,} items ({N_SUBJECTS * N_ITEMS / 1e6:.0f} million long "
        "rows), the largest of the six benchmarks: half of the 28,632 items of a leaderboard, and "
        "each benchmark is built by itself. Every stage runs in a process of its own, whose peak "
        "resident memory is given; what was built is compared with what was simulated.\n\n"
        + markdown(pd.DataFrame(rows))
    )
    write_evidence("build_scale", "Responses of a whole leaderboard", text, "make prove")
