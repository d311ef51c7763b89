"""Collect made-up leaderboards from a hub on this machine: truth, faults, kills, growth."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import markdown, write_evidence

from itemwise.collect.collection import derive
from itemwise.collect.leaderboard import LEADERBOARDS
from itemwise.collect.limits import PLANS
from itemwise.collect.manifest import FileRow, Manifest
from itemwise.collect.models import Model
from itemwise.collect.plan import SMALL_FILE_CALLS, Plan
from itemwise.collect.reading import ItemList, TaskResponses
from itemwise.collect.shards import write_collection
from itemwise.paths import ROOT

sys.path.insert(0, str(ROOT / "tests" / "support"))

from collecting import collect, collect_with_kills, command, environment, write_models
from hub_server import Faults, HubServer, Repository
from leaderboard_world import World, differences, make_v1

N_MODELS = 210
N_KILLS = 10
GROWTH = (250, 500, 1000)
FAULTS = Faults(busy=0.10, broken=0.05, short=0.02, cut=0.02)
LIMITS, WINDOW = {"api": 150, "resolve": 1500}, 10.0
LEADERBOARD = {"arc": 1172, "hellaswag": 10042, "mmlu": 14042, "truthfulqa": 817,
               "winogrande": 1267, "gsm8k": 1292}  # fmt: skip
"""Items by benchmark, 28,632 in all."""
REAL_MODELS, SCALE_MODELS = 7000, 6000
NEEDED_MB = 13 / 57
"""Megabytes that are read of one details file: third parties read 13 MB of a model's MMLU."""


def collect_leaderboard() -> None:
    """Collect with and without faults, and at growing size; write the evidence."""
    text = [_truth(), _growth(), _estimate()]
    write_evidence("collect", "Collecting a leaderboard", "\n\n".join(text), "make prove")


def collect_scale() -> None:
    """Derive the tables of a whole leaderboard; write the evidence."""
    write_evidence(
        "collect_scale", "A whole leaderboard, collected", _whole_leaderboard(), "make prove"
    )


def fresh(world: World, **options) -> HubServer:
    """Return a hub that holds a world; it may change while it is read."""
    repositories = {n: Repository(dict(r.commits), r.gated) for n, r in world.repositories.items()}
    server = HubServer(repositories, **options)
    server.changes = dict(world.changes)
    return server


def _truth() -> str:
    """Compare what is collected with the truth, undisturbed and disturbed."""
    world = make_v1(N_MODELS, with_mmlu=20)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        models = ("--models", str(write_models(world, Path(place))))
        with fresh(world) as server:
            began = time.monotonic()
            done = collect(world, server, Path(place, "clean"), *models)
            assert done.returncode == 0, done.stderr
            rows.append(_row("undisturbed", world, server, Path(place, "clean"), began))
        with fresh(world, faults=FAULTS, limits=LIMITS, window=WINDOW) as server:
            began = time.monotonic()
            stated = [f"{kind}={n}/{WINDOW:g}" for kind, n in LIMITS.items()]
            happened = collect_with_kills(
                world, server, Path(place, "faults"), N_KILLS, *models, "--attempts", "8",
                "--limits", *stated,
            )  # fmt: skip
            rows.append(
                _row("faults", world, server, Path(place, "faults"), began)
                | {"SIGKILLs": happened["killed"], "runs to the end after": happened["runs"]}
            )
    table = pd.DataFrame(rows).fillna("").T.reset_index()
    table.columns = ["", *table.iloc[0, 1:]]
    limits = ", ".join(f"{n} {kind}" for kind, n in LIMITS.items())
    return (
        f"## Against the truth\n\n{N_MODELS} made-up models of leaderboard v1 in layouts A, B and C"
        " with every trap, through huggingface_hub. Faults: 10 % of answers 429, 5 % 5xx, 2 % "
        f"short bodies, 2 % connections cut; limits of {limits} requests in {WINDOW:g} s; "
        "repositories whose files change between two reads; the process killed at random.\n\n"
        + markdown(table.iloc[1:])
    )


def _row(name: str, world: World, server: HubServer, folder: Path, began: float) -> dict:
    """Return what happened in one collection; stop where it is not the truth."""
    different = differences(world, folder)
    if different or server.excess:
        raise SystemExit(
            f"{name}: {server.excess} requests in excess, differences: {different[:9]}"
        )
    manifest = pd.read_parquet(folder / "manifest.parquet")
    faults = {k: server.counts[k] for k in ("busy", "broken", "short", "cut", "changed")}
    return {
        "": name,
        "states and responses that differ": len(different),
        "requests in excess": server.excess,
        "API requests": server.counts["api"],
        "file requests": server.counts["resolve"],
        "storage requests": server.counts["storage"],
        **{f"answers gone wrong: {k}": n for k, n in faults.items()},
        "files in the manifest": len(manifest),
        "of these with repeated requests": int((manifest["retries"] > 0).sum()),
        **{f"state {s}": int(n) for s, n in manifest["state"].value_counts().items()},
        "seconds": f"{time.monotonic() - began:.0f}",
    }


def _growth() -> str:
    """Measure throughput and memory at growing numbers of models."""
    rows = []
    for n_models in GROWTH:
        world = make_v1(
            n_models, with_mmlu=20, mmlu_traps=0, kinds=("plain", "shuffled"), broken=()
        )
        with tempfile.TemporaryDirectory() as place, fresh(world) as server:
            models = ("--models", str(write_models(world, Path(place))))
            began = time.monotonic()
            process = subprocess.Popen(
                command(world, Path(place), *models),
                env=environment(server),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - began
            assert status == 0
            assert not differences(world, Path(place))
            files = len(pd.read_parquet(Path(place, "manifest.parquet"), columns=["state"]))
            rows.append(
                {
                    "models": n_models,
                    "files": files,
                    "seconds": f"{seconds:.0f}",
                    "files a second": f"{files / seconds:.0f}",
                    "peak memory (MB)": f"{usage.ru_maxrss / 1024:.0f}",
                    "manifest (MB)": f"{Path(place, 'manifest.sqlite').stat().st_size / 1e6:.1f}",
                }
            )
    return (
        "## Growth\n\nUndisturbed, 4 workers, small files, one model in 20 with MMLU (57 files); "
        "the hub runs on the same cores, so the real limit is its rate limit, not this.\n\n"
        + markdown(pd.DataFrame(rows))
    )


def _whole_leaderboard() -> str:
    """Derive and write the tables of a whole leaderboard from a manifest that holds it."""
    rng = np.random.default_rng(1)
    known = LEADERBOARDS["v1"]
    with tempfile.TemporaryDirectory() as place:
        manifest = Manifest(Path(place, "manifest.sqlite"), "v1")
        subjects = [f"org{n % 500}/model-{n:04d}" for n in range(SCALE_MODELS)]
        manifest.register([Model(s, f"made/up-{n}") for n, s in enumerate(subjects)])
        began = time.monotonic()
        for name, n_items in LEADERBOARD.items():
            tasks = known[name].tasks
            sizes = np.diff(np.linspace(0, n_items, len(tasks) + 1).astype(int))
            for task, size in zip(tasks, sizes, strict=True):
                item_list = ItemList(
                    [{"item": f"{name}.{task}{k:05d}", "doc_id": k, "doc_hash": None,
                      "text": f"question {k} of {task} " * 10, "choices": None, "gold": "0",
                      "native": None} for k in range(size)]
                )  # fmt: skip
                for subject in subjects:
                    responses = (rng.random(size) < 0.6).astype(np.int8)
                    row = FileRow(
                        subject, name, "made/up", f"{task}.parquet", "0" * 40, task, state="ok",
                        rows=int(size), mean=float(responses.mean()), published=0.6, metric="acc",
                        layout="A", attempts=1,
                    )  # fmt: skip
                    manifest.record(row, TaskResponses("A", "acc", item_list, responses, {}))
        filled = time.monotonic() - began
        manifest.close()
        script = (
            "import sys; sys.path.insert(0, 'benchmarks'); from collect import derive_whole; "
            f"derive_whole({place!r})"
        )
        began = time.monotonic()
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        seconds = time.monotonic() - began
        shards = sum(p.stat().st_size for p in Path(place).rglob("part-*.parquet"))
        size = Path(place, "manifest.sqlite").stat().st_size
    n_items = sum(LEADERBOARD.values())
    return (
        f"{SCALE_MODELS:,} models x {n_items:,} items, random responses "
        f"put into a manifest ({filled:.0f} s, {size / 1e6:,.0f} MB). Judging the items, comparing "
        f"all pairs of models and writing the shards ({shards / 1e6:,.0f} MB) took {seconds:.0f} s "
        f"and {usage.ru_maxrss / 2**20:.2f} GiB of memory at most."
    )


def derive_whole(place: str) -> None:
    """Derive and write every table of a manifest; a process of its own, to be measured."""
    manifest = Manifest(Path(place, "manifest.sqlite"), "v1")
    models = manifest.models()
    benchmarks = [LEADERBOARDS["v1"][name] for name in LEADERBOARD]
    collection = derive(manifest, models["subject"].tolist(), benchmarks, kappa=0.95)
    assert len(collection.table) == SCALE_MODELS * len(LEADERBOARD)
    write_collection(collection, models, Path(place))


def _estimate() -> str:
    """Say what the real leaderboard v1 would take, by the arithmetic of the dry run."""
    files = sum(len(b.tasks) for b in LEADERBOARDS["v1"].values())
    plan = Plan(
        REAL_MODELS, 0, 0, REAL_MODELS, REAL_MODELS * (files + SMALL_FILE_CALLS),
        REAL_MODELS * (files + 1), REAL_MODELS * files * NEEDED_MB * 1e6, 0.999,
    )  # fmt: skip
    rows = [
        {"plan": name, "API calls": api, "file calls": resolve,
         "hours": f"{plan.hours(api, resolve):.1f}"}
        for name, (api, resolve) in PLANS.items()
    ]  # fmt: skip
    return (
        f"## The real leaderboard\n\nNot measured: arithmetic of the dry run for {REAL_MODELS:,} "
        f"models, one listing, {files} files of one run and its results file each: "
        f"{plan.api_calls:,.0f} API calls, {plan.resolve_calls:,.0f} file calls, about "
        f"{plan.bytes / 1e9:,.0f} GB if every file is read like MMLU's (13 MB a model). Hours at "
        "least, by the hub's published requests in 5 minutes:\n\n" + markdown(pd.DataFrame(rows))
    )
