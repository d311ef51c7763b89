"""Running the collector against a hub on this machine, with kills where they are wanted."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pandas as pd
from hub_server import HubServer
from huggingface_hub import constants
from leaderboard_world import World

from itemwise.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
UNLIMITED = ("--limits", "api=1000000/300", "resolve=1000000/300")


def environment(server: HubServer, token: str | None = None) -> dict[str, str]:
    """Return the variables of a collector: the hub on this machine, and no other."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    home = {"HF_HOME": str(ROOT / "no-such-folder"), "PYTHONPATH": str(ROOT / "python")}
    token_given = {"HF_TOKEN": token} if token else {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    return {**kept, **home, **token_given, "HF_ENDPOINT": server.endpoint}


def write_models(world: World, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "models.csv"
    pd.DataFrame({"subject": world.subjects}).to_csv(path, index=False)
    return path


def command(world: World, folder: Path, *more: str) -> list[str]:
    """Return the command that collects a world; waits are short, limits are none."""
    return [
        sys.executable, "-m", "itemwise", "scrape-leaderboard",
        "--benchmarks", *world.benchmarks, "--folder", str(folder),
        "--wait", "0.02", *(() if "--limits" in more else UNLIMITED), *more,
    ]  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """How a collection ended."""

    returncode: int
    stdout: str
    stderr: str


def collect(world: World, server: HubServer, folder: Path, *more: str, token: str | None = None):
    """Collect once, within this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(server, token), clear=True),
        patch.object(constants, "HF_HUB_OFFLINE", False),  # other tests set it
        patch.object(constants, "HF_TOKEN_PATH", str(ROOT / "no-such-folder" / "token")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            status = main(command(world, folder, *more)[3:])
        except SystemExit as leaving:
            status = leaving.code
    return Finished(status, out.getvalue(), err.getvalue())


def collect_with_kills(
    world: World, server: HubServer, folder: Path, kills: int, *more: str, seed: int = 3
) -> dict:
    """Collect with so many SIGKILLs, each once some more requests were answered.

    Returns what happened: kills, and runs after them until nothing was pending.
    """
    draw = random.Random(seed)
    share = draw.choices(range(5, 15), k=kills)
    # About as many requests as the models need, spread over the kills.
    step = (sum(map(len, (r.commits for r in server.repositories.values()))) * 8) // (kills + 1)
    killed = 0
    for number in range(kills):
        seen = sum(server.counts[kind] for kind in ("api", "resolve"))
        goal = seen + step * share[number] // 20
        process = subprocess.Popen(
            command(world, folder, *more),
            env=environment(server),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None:
            if sum(server.counts[kind] for kind in ("api", "resolve")) >= goal:
                process.send_signal(signal.SIGKILL)
                killed += 1
                break
            time.sleep(0.005)
        process.wait()
    for runs in range(1, 6):
        last = collect(world, server, folder, *more)
        if last.returncode == 0:
            return {"killed": killed, "runs": runs, "printed": last.stdout}
        assert last.returncode == 1, last.stderr
    raise AssertionError(f"files stay pending: {last.stdout}{last.stderr}")
