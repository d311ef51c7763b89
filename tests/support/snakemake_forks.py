"""Snakemake in forks of one process that has imported it, which takes longer than most plans."""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SERVER = """
import json, os, sys, traceback
import pandas, requests, smart_open, snakemake.cli

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(asked["printed"], os.O_WRONLY | os.O_APPEND), number)
    sys.path[1:1] = os.environ["PYTHONPATH"].split(os.pathsep)
    status = 1
    try:
        snakemake.cli.main(asked["options"])
    except SystemExit as leaving:
        status = leaving.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
"""


@cache
def server() -> subprocess.Popen:
    """Start the process to fork; it ends with this one, which closes its input."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LANG", "PYTHONPATH")}
    return subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env={**kept, "LC_ALL": "C"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def snakemake(options, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Run Snakemake as `python -m snakemake` does; what it printed is in `stdout`."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        asked = {"options": options, "folder": str(folder), "environment": environment}
        process = server()
        try:
            process.stdin.write(json.dumps({**asked, "printed": printed.name}) + "\n")
            process.stdin.flush()
            status = int(process.stdout.readline())
        except BaseException:  # a test that ran out of time: the next one must not read its answer
            process.kill()
            server.cache_clear()
            raise
        return subprocess.CompletedProcess(options, status, printed.read())
