"""Proofs of calibration: priors where models are few, and the maxima of the 3PL and 4PL."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from common import data_folder, markdown, write_evidence

from itemwise import irt
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.native import check_varying
from itemwise.irt.optimize import Objective, expectation_maximization, quasi_newton
from itemwise.irt.prior import Moments, Prior
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.recovery import designs, recover
from itemwise.irt.starts import correlation_start
from itemwise.responses.matrix import MISSING, Responses, read_responses
from itemwise.tables.contract import open_parquet

FEW = (20, 30, 50, 100)
ITEMS, REPLICATIONS = 300, 6
REAL = {
    "MMLU-Pro": ("open/mmlu-pro", None),
    "ChemBench": ("open/chembench", None),
    "SWE-bench Verified, 30 agents": ("agents/swebench_verified", 30),
}
PATIENCE = {"none": 60, "weak": 240, "estimated": 240}
"""Seconds that a fit of a real matrix may take, by prior."""

CASES = [
    ("leaderboard/arc_primary", "3PL", "none"),
    ("leaderboard/arc_primary", "3PL", "estimated"),
    ("leaderboard/arc_primary", "4PL", "none"),
    ("agents/swebench_verified", "3PL", "none"),
]
STARTS = 50
GAIN = 0.1
"""Nats by which a random start must end higher to count as better."""


def priors() -> None:
    """Known truth with few models by prior, and real matrices of few models."""
    rows = []
    for n_subjects, prior in [(n, p) for n in FEW for p in ("none", "weak", "estimated")]:
        study = designs([n_subjects], [ITEMS], ["2PL"], [prior], [0.0])
        table = recover(study, REPLICATIONS, "native", seed=7).set_index("parameter")
        row = {"models": n_subjects, "prior": prior}
        for name in ("a", "d", "theta"):
            row[f"RMSE {name}"] = f"{table.loc[name, 'rmse']:.2f}"
            row[f"95 % hold {name}"] = f"{table.loc[name, 'coverage']:.0%}"
        rows.append(row)
    real = []
    for name in REAL:
        for prior in ("none", "weak", "estimated"):
            command = [sys.executable, __file__, name, prior]
            row = {"matrix": name, "prior": prior}
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=PATIENCE[prior], check=True
                )
                row |= json.loads(done.stdout.splitlines()[-1])
            except subprocess.TimeoutExpired:
                row |= dict.fromkeys(("size", "CPU s", "MiB", "SD of theta", "converged"), "")
                row["converged"] = f"not within {PATIENCE[prior]} s"
            real.append(row)
    text = (
        f"Simulated 2PL, {ITEMS} items, {REPLICATIONS} data sets; slopes log-normal(0.2, 0.35), "
        "difficulty N(0, 1). `none` and `weak` leave out items that all answered alike. Abilities: "
        "EAP, with standard errors that take items as known, so that few models' are too short."
        "\n\n" + markdown(pd.DataFrame(rows))
        + "\n\nReal matrices, 2PL with standard errors, one thread; processor seconds of fit and "
        "errors, largest memory of the process. With the weak prior the items decide the scale of "
        "theta, whose standard deviation should be about 1.\n\n" + markdown(pd.DataFrame(real))
    )  # fmt: skip
    write_evidence("priors", "Calibration with few models, by prior", text, "make prove")


def real_matrix(name: str) -> Responses:
    """Read one of `REAL`."""
    path, agents = REAL[name]
    file = data_folder() / f"{path}.responses.parquet"
    if agents:
        data = read_responses(file)
        chosen = np.random.default_rng(1).choice(len(data.subjects), agents, replace=False)
        return data.take(subjects=np.sort(chosen))
    long = open_parquet(file).to_pandas()
    wide = long.pivot(index="subject", columns="item", values="response")
    matrix = wide.fillna(MISSING).to_numpy().astype(np.int8)
    return Responses(wide.index.to_numpy(object), wide.columns.to_numpy(object), matrix)


def fit_real(name: str, prior: str) -> None:
    """Fit one real matrix and print what it took, as JSON."""
    import resource

    data = real_matrix(name)
    began = time.process_time()
    table, record = irt.fit(data, "2PL", prior, standard_errors=True)
    seconds = time.process_time() - began
    size = " x ".join(map(str, data.matrix.shape))
    spread = irt.score(data, table)["theta"].std()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {"size": size, "CPU s": f"{seconds:.1f}", "MiB": f"{peak:.0f}"}
    row |= {"SD of theta": f"{spread:.2f}", "converged": "yes" if record["converged"] else "no"}
    print(json.dumps(row))


def optimum() -> None:
    """Set the fit's maximum beside those of random starts."""
    write_optimum([beside_random_starts(*case) for case in CASES])


def write_optimum(rows: list[dict]) -> None:
    """Write the page."""
    text = (
        "Log posterior (log-likelihood without prior) on mirt's 61 points, and where climbs from "
        "random starts end by EM and quasi-Newton ascent without leaps of items: "
        "slopes from item-total correlations times exp(N(0, 0.5)), and N(0, 0.7) added to a and "
        "d; logit g ~ N(-1.5, 1.2), logit u ~ N(3, 1.5). With `estimated` the random starts "
        "climb under the fit's own prior.\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("optimum", "Random starts beside the 3PL and 4PL fit", text, "make prove")


def beside_random_starts(path: str, model: str, prior: str) -> dict:
    """Return a row of the page: a fit, and the random starts of the same case."""
    data = read_responses(data_folder() / f"{path}.responses.parquet")
    began = time.process_time()
    _, record = irt.fit(data, model, prior, quadrature=61)
    seconds = time.process_time() - began
    ends = random_ends(data, model, Moments.from_record(record["prior_values"]))
    best = record["log_posterior"]
    return {
        "matrix": f"{path}, {model}",
        "prior": prior,
        "fit": f"{best:.2f}",
        "CPU s": f"{seconds:.1f}",
        "ends of its starts": ", ".join(f"{end:.1f}" for end in record["ends_of_starts"]),
        "best random start": f"{ends.max():.2f}",
        "median": f"{np.median(ends):.1f}",
        "better": f"{(ends > best + GAIN).sum()} of {len(ends)}",
    }


def random_ends(data: Responses, model: str, moments: Moments | None) -> np.ndarray:
    """Return where climbs from random starts end."""
    data, *_ = check_varying(data, "drop" if moments is None else "keep")
    n_items, k = len(data.items), int(model[0])
    likelihood = MarginalLikelihood(data.matrix, model, normal_grid(61))
    prior = Prior(moments, model, n_items)
    objective = Objective(likelihood, prior, False, np.ones((n_items, k), bool))
    base = np.column_stack(correlation_start(data.matrix))
    rng = np.random.default_rng(5)
    ends = []
    for _ in range(STARTS):
        ad = base * np.exp(rng.normal(0, 0.5)) + rng.normal(0, 0.7, base.shape)
        ends_of_curves = rng.normal((-1.5, 3.0), (1.2, 1.5), (n_items, 2))[:, : k - 2]
        beta = np.hstack([ad, ends_of_curves])
        beta, _ = expectation_maximization(objective, beta, 1e-5, 500)
        ends.append(quasi_newton(objective, beta, 0.05, 150).value)
    return np.array(ends)


if __name__ == "__main__":
    fit_real(*sys.argv[1:])
