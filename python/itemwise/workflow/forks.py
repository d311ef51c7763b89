"""Tasks in forked processes: what is imported and built before the fork is there at once.

Starting Python and importing PyTorch and the evaluation harness take longer than a tiny
language model takes to answer. A fork takes milliseconds, and is a process of its own all
the same: what it allocates is freed when it ends, and its failure is its own.

A process that forks must not have used a GPU before: its children could not.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from itemwise.errors import UserError, listed
from itemwise.workflow.child_process import die_with

FORKS = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Failure:
    """Why a task has no result.

    Attributes
    ----------
    message : str
    mistake : bool
        Whether it was a `UserError`.
    """

    message: str
    mistake: bool = False


def run_forked(
    tasks: dict[str, Callable[[], object]], workers: int = 1, quiet: bool = False
) -> Iterator[tuple[str, object]]:
    """Run each task in a forked process of its own, so many side by side.

    Children end with this process, however it ends; an exception here ends them too.

    Parameters
    ----------
    tasks : dict of callables
        By name. What they return must be picklable.
    workers : int
    quiet : bool
        Whether what the tasks print is dropped.

    Yields
    ------
    tuple of str and object
        Name, and result or `Failure`, in the order in which the tasks end.
    """
    waiting, running = list(tasks.items()), {}
    gc.freeze()  # else each child's collector would copy all that it shares
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                name, task = waiting.pop(0)
                running |= {_start(task, quiet): name}
            by_pipe = {pipe: (pipe, process) for pipe, process in running}
            for pipe in wait(list(by_pipe)):
                name = running.pop(by_pipe[pipe])
                yield name, _result(*by_pipe[pipe])
    finally:
        gc.unfreeze()
        for _, process in running:
            process.kill()
            process.join()


def raise_failures(failures: dict[str, Failure], command: str, kind: str) -> None:
    """Raise what went wrong, by name, where something did.

    Raises
    ------
    UserError
        The user can fix all that went wrong.
    SystemExit
        Something else went wrong.
    """
    if not failures:
        return
    text = listed([f"{kind} '{name}': {failure.message}" for name, failure in failures.items()])
    if all(failure.mistake for failure in failures.values()):
        raise UserError(text)
    raise SystemExit(f"itemwise {command}: error: {text}")


def _start(task: Callable[[], object], quiet: bool) -> tuple[Connection, object]:
    """Fork a process for a task; return where its result comes from, and the process."""
    receiver, sender = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_child, args=(task, sender, os.getpid(), quiet))
    process.start()
    sender.close()  # so that the pipe ends when the child does
    return receiver, process


def _child(task: Callable[[], object], sender: Connection, parent: int, quiet: bool) -> None:
    """Run a task in this process and send what came of it."""
    die_with(parent)
    if quiet:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        sys.stdout = sys.stderr = os.fdopen(nowhere, "w")
    try:
        sender.send(task())
    except UserError as error:
        sender.send(Failure(str(error), mistake=True))
    except SystemExit as error:
        sender.send(Failure(str(error.code)))
    except KeyboardInterrupt:
        sender.send(Failure("interrupted"))
    except BaseException as error:
        traceback.print_exc()
        sender.send(Failure(f"{type(error).__name__}: {error}"))


def _result(receiver: Connection, process) -> object:
    """Return what a child sent; where it was killed, say so."""
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return Failure(f"its process ended {_ending(process.exitcode)}")
    finally:
        receiver.close()
        process.join()


def _ending(code: int) -> str:
    """Say how a process ended that sent nothing."""
    if code >= 0:
        return f"with status {code}"
    name = signal.Signals(-code).name
    memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"by {name}{memory}"
