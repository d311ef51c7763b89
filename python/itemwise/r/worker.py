"""R functions called from Python, in a process of their own.

R crashes, R's single thread and its messages stay in the worker: the caller gets data
frames, an exception with R's words, or a time-out, and lives on. The worker starts
once and answers many calls, so that a loop pays for loading R packages once.

>>> with RWorker("itemwise/load.R") as r:                                # doctest: +SKIP
...     fitted = r.call("fit_mirt", responses=matrix, model="2PL")
"""

from __future__ import annotations

import importlib.util
import locale
import logging
import os
import pickle
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.responses.matrix import Responses

LOG = logging.getLogger(__name__)
R_FOLDER = ROOT / "R"
HEADER = struct.Struct("<Q")


class RError(RuntimeError):
    """R stopped with an error, crashed, or took too long."""


class RWorker:
    """A process that has sourced some of the project's R libraries.

    Parameters
    ----------
    *libraries : str
        Files below `R/`, such as `itemwise/load.R`, sourced in this order.
    timeout : float
        Seconds that one call may take.
    log : path, optional
        Receives R's messages and output; default: the logger `itemwise.r.worker`, at
        level INFO.

    Raises
    ------
    UserError
        R, rpy2 or the clone's R folder is missing; says what to install.
    """

    def __init__(self, *libraries: str, timeout: float = 3600, log: str | Path | None = None):
        check_available()
        self.timeout = timeout
        self._log = open(log, "ab") if log else tempfile.TemporaryFile()  # noqa: SIM115
        self._told = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "itemwise.r.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={
                **os.environ,
                **_utf8(),
                "R_HOME": _r_home(),
                "ITEMWISE_ROOT": str(ROOT),
                "ITEMWISE_PYTHON": sys.executable,
            },
        )
        for library in libraries:
            self._ask(("source", str(R_FOLDER / library)))

    def call(self, function: str, /, **arguments):
        """Call an R function.

        Arguments may be scalars, strings, None (NULL), lists of these, data frames, and
        Responses (an integer matrix with names, NA where not administered). The result
        is converted back: data frames, dicts for named lists, lists, scalars.

        Raises
        ------
        RError
            R's error message; or that R died or outran the time limit.
        """
        return self._ask(("call", function, arguments))

    def close(self) -> None:
        """End the worker."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> RWorker:
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    def _ask(self, request: tuple):
        """Send a request and wait for its answer."""
        try:
            _send(self._process.stdin, request)
            kind, value = self._receive()
        except (BrokenPipeError, EOFError):
            code = self._process.wait()
            raise RError(f"R crashed (exit status {code}): {self._last_words()}") from None
        finally:
            self._relay()
        if kind == "error":
            raise RError(value)
        return value

    def _relay(self) -> None:
        """Pass what R has said since the last call on to Python's log."""
        if self._log.readable():
            self._log.seek(self._told)
            text = self._log.read()
            self._told += len(text)
            for line in filter(str.strip, text.decode(errors="replace").splitlines()):
                LOG.info(line)

    def _receive(self) -> tuple:
        """Read one answer within the time limit."""
        deadline = time.monotonic() + self.timeout
        header = self._read(HEADER.size, deadline)
        return pickle.loads(self._read(HEADER.unpack(header)[0], deadline))

    def _read(self, size: int, deadline: float) -> bytes:
        """Read exactly `size` bytes, or kill the worker when time is up."""
        data = b""
        descriptor = self._process.stdout.fileno()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self._process.kill()
                raise RError(f"R gave no answer within {self.timeout:g} seconds and was stopped")
            part = os.read(descriptor, size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _last_words(self) -> str:
        """Return the end of what R printed."""
        if not self._log.readable():
            return f"see {self._log.name}"
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()[-500:] or "it said nothing"


def check_available() -> None:
    """Check that R and rpy2 are there, or say what to install."""
    if shutil.which("R") is None:
        raise UserError(
            "R is not installed; `itemwise doctor` says how to get it, or use the native engine"
        )
    if importlib.util.find_spec("rpy2") is None:
        raise UserError(
            "rpy2 is not installed; run pip install --no-binary rpy2-rinterface "
            "-c constraints.txt -e '.[r]', or use the native engine"
        )


def r_has(package: str) -> bool:
    """Return whether an R package is installed; False where R is not."""
    if shutil.which("Rscript") is None:
        return False
    look = f"quit(status = !nzchar(system.file(package = '{package}')))"
    return subprocess.run(["Rscript", "--vanilla", "-e", look], capture_output=True).returncode == 0


def _utf8() -> dict[str, str]:
    """Return what makes R work in UTF-8 where the locale does not."""
    return {} if locale.getencoding().lower() == "utf-8" else {"LC_ALL": "C.UTF-8"}


def _r_home() -> str:
    """Return R's home, so that rpy2 finds the R of the command line."""
    return subprocess.run(["R", "RHOME"], capture_output=True, text=True, check=True).stdout.strip()


def _send(stream, value) -> None:
    """Write one length-prefixed pickle."""
    data = pickle.dumps(value)
    stream.write(HEADER.pack(len(data)) + data)
    stream.flush()


def _serve() -> None:
    """Answer requests until the caller goes away (runs in the worker)."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # R prints to the real standard output: send that to the log instead.
    os.dup2(2, 1)
    import rpy2.rinterface_lib.embedded
    from rpy2 import robjects

    r_error = rpy2.rinterface_lib.embedded.RRuntimeError
    robjects.r("options(warn = 1, error = NULL)")
    while header := requests.read(HEADER.size):
        request = pickle.loads(requests.read(HEADER.unpack(header)[0]))
        try:
            if request[0] == "source":
                robjects.r["source"](request[1])
                answer = ("done", None)
            else:
                arguments = {name: to_r(value) for name, value in request[2].items()}
                answer = ("done", from_r(robjects.r[request[1]](**arguments)))
        except KeyError:
            answer = ("error", f"R has no function '{request[1]}'; source its library first")
        except (r_error, TypeError, ValueError) as error:
            answer = ("error", str(error).strip())
        _send(answers, answer)


def to_r(value):
    """Convert a Python value to R.

    Data frames by rpy2's converter, the rest by hand: it knows no None and no dict, and makes
    an R list of a Python list, where R's functions want a vector.
    """
    from rpy2 import robjects
    from rpy2.rinterface import NULL
    from rpy2.robjects import pandas2ri

    if value is None:
        return NULL
    if isinstance(value, pd.DataFrame):
        with (robjects.default_converter + pandas2ri.converter).context() as conversion:
            return conversion.py2rpy(value)
    if isinstance(value, Responses):
        names = [robjects.StrVector(v) for v in (value.subjects, value.items)]
        matrix = robjects.r["matrix"](
            robjects.IntVector(value.matrix.ravel(order="F").astype(np.int32)),
            nrow=len(value.subjects),
            dimnames=robjects.r["list"](*names),
        )
        return robjects.r("function(x) { x[x == -1L] <- NA; x }")(matrix)
    if isinstance(value, dict):
        return robjects.ListVector({name: to_r(item) for name, item in value.items()})
    items = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    if all(isinstance(item, bool) for item in items):
        return robjects.BoolVector(items)
    if all(isinstance(item, int | np.integer) for item in items):
        return robjects.IntVector(items)
    if all(isinstance(item, int | float | np.number) for item in items):
        return robjects.FloatVector(items)
    return robjects.StrVector([str(item) for item in items])


def from_r(value):
    """Convert an R value to Python: data frames, dicts, lists, scalars; NA becomes None.

    By hand, since rpy2's converters (3.6) make -2147483648 of NA in integers and in a data frame's
    logicals, and leave named lists, such as a fit's record, objects of their own.
    """
    from rpy2 import rinterface, robjects

    if value is rinterface.NULL or isinstance(value, type(rinterface.NULL)):
        return None
    if isinstance(value, robjects.DataFrame):
        return pd.DataFrame({name: _atoms(value.rx2(name)) for name in value.names})
    if isinstance(value, robjects.ListVector):
        if value.names is rinterface.NULL:
            return [from_r(item) for item in value]
        pairs = zip(value.names, value, strict=True)
        # Fitted models and functions mean something to R alone.
        return {name: from_r(item) for name, item in pairs if not _is_opaque(item)}
    if "factor" in value.rclass:
        return _atoms(robjects.r["as.character"](value))
    atoms = _atoms(value)
    # R has no scalars; I(x) says that a vector of length one means a list.
    return atoms[0] if len(atoms) == 1 and "AsIs" not in value.rclass else atoms


def _is_opaque(value) -> bool:
    """Return whether an R value has no counterpart in Python."""
    from rpy2 import robjects

    return isinstance(value, robjects.RS4 | robjects.Environment | robjects.functions.Function)


def _atoms(vector) -> list:
    """Return the elements of an atomic vector; NA and NaN become None."""
    from rpy2 import rinterface

    if isinstance(vector, rinterface.StrSexpVector):
        return [None if v is rinterface.NA_Character else str(v) for v in vector]
    if isinstance(vector, rinterface.BoolSexpVector):
        return [None if v is rinterface.NA_Logical else bool(v) for v in vector]
    if isinstance(vector, rinterface.IntSexpVector):
        return [None if v is rinterface.NA_Integer else int(v) for v in vector]
    return [None if np.isnan(v) else float(v) for v in vector]


if __name__ == "__main__":
    _serve()
