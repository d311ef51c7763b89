"""Fit one response matrix with a Python peer; prints JSON. Runs in .venv-bench."""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import pyarrow.parquet as pq

POINTS = 61


def read(path: str) -> np.ndarray:
    """Return responses, subjects by items."""
    table = pq.read_table(path)
    names = [name for name in table.column_names if name != "subject"]
    return np.column_stack([table.column(name).to_numpy() for name in names]).astype(int)


def girth(matrix: np.ndarray, model: str) -> dict:
    """Marginal maximum likelihood of girth: positive slopes bounded by its search."""
    import girth

    fits = {"1PL": girth.onepl_mml, "2PL": girth.twopl_mml, "3PL": girth.threepl_mml}
    options = {"quadrature_n": POINTS, "quadrature_bounds": (-6, 6)}
    began = time.perf_counter()
    found = fits[model](matrix.T, options)
    seconds = time.perf_counter() - began
    a = np.broadcast_to(found["Discrimination"], matrix.shape[1])
    return {
        "seconds": seconds,
        "a": a.tolist(),
        "d": (-a * found["Difficulty"]).tolist(),
        "g": np.broadcast_to(found.get("Guessing", 0.0), a.shape).tolist(),
        "u": np.ones(len(a)).tolist(),
    }


def mirt(matrix: np.ndarray, model: str) -> dict:
    """EM of the PyPI package mirt with its fastest settings (Rust, SQUAREM, no errors)."""
    import mirt

    began = time.perf_counter()
    found = mirt.fit_mirt(
        matrix,
        model=model,
        n_quadpts=POINTS,
        compute_standard_errors=False,
        accelerate="squarem",
    )
    seconds = time.perf_counter() - began
    values = found.model.parameters
    converged = bool(found.converged)
    a = np.broadcast_to(np.ravel(values["discrimination"]), matrix.shape[1])
    return {
        "seconds": seconds,
        "converged": converged,
        "a": a.tolist(),
        "d": (-a * np.ravel(values["difficulty"])).tolist(),
        "g": np.ravel(values.get("guessing", np.zeros(len(a)))).tolist(),
        "u": np.ravel(values.get("upper", np.ones(len(a)))).tolist(),
    }


if __name__ == "__main__":
    name, path, model = sys.argv[1:]
    result = {"girth": girth, "mirt": mirt}[name](read(path), model)
    result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))
