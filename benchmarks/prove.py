"""The large proofs; each writes its table to docs/evidence/.

python benchmarks/prove.py                     # all
python benchmarks/prove.py fits heldout ...    # some
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd
from adaptive import cat_engines, cat_study, live
from agents import few_models
from calibration import optimum, priors
from choices import cat_choices, readout_choices, settings_search
from collect import collect_leaderboard, collect_scale
from common import EVIDENCE, MATRICES, data_folder, markdown, write_evidence
from demo import demo, report_page
from deployment import deployment
from distil import controls, cross_fitted_coverage, error_by_size, published_forms
from drill import drill
from edge_runs import edge_runs
from evaluation import evaluation_kills, harness, sample_logs
from few_models import adaptive_few, calibration_error
from flow import draw
from fresh import fresh_clone
from kills import kills
from prefix_sharing import prefix_sharing
from process import process
from profiling import suite_rows
from pythia import pythia
from real_inputs import real_inputs
from real_model import real_form, real_model
from scale import build_scale
from slurm import slurm, slurm_demo
from uncertainty import bank, random_baseline

from itemwise import irt
from itemwise.irt.agreement import compare_engines, log_likelihood_of
from itemwise.irt.heldout import held_out_log_scores, mask_cells
from itemwise.irt.model import MODELS
from itemwise.irt.native import check_varying, fit_native
from itemwise.irt.population import draw_items
from itemwise.irt.simulation import simulate_responses
from itemwise.irt.starts import correlation_start
from itemwise.paths import ROOT
from itemwise.responses.matrix import read_responses
from itemwise.tables.contract import open_parquet, read_table

THREADS = 2


def fits() -> None:
    """Unpenalised fits of every real matrix beside the published ones."""
    rows = []
    for name, model in MATRICES.items():
        folder = data_folder() / "leaderboard"
        data = read_responses(folder / f"{name}.responses.parquet")
        published = open_parquet(folder / f"{name}.mirt-items.parquet").to_pandas()
        _, record = irt.fit(data, model, prior="none", quadrature=61, threads=THREADS)
        _, free = irt.fit(data, model, prior="none", threads=THREADS)
        change = free["log_likelihood_fine"] - free["log_likelihood"]
        rows.append(
            {
                "matrix": name,
                "model": model,
                "published estimates": f"{log_likelihood_of(data, published, 61):.2f}",
                "itemwise, 61 points": f"{record['log_likelihood']:.2f}",
                "largest gradient": f"{record['max_gradient']:.4f}",
                "converged": record["converged"],
                "iterations": record["n_iterations"],
                "seconds": f"{record['seconds']:.2f}",
                "slopes beyond 8": len(record["steep_slopes"]),
                "asymptotes at bounds": len(record["items_at_bounds"]),
                "automatic points": free["quadrature"]["points"],
                "its log-likelihood": f"{free['log_likelihood']:.2f}",
                "change when doubled": f"{change:.4f}",
            }
        )
    text = "Log-likelihoods by one function.\n\n" + markdown(pd.DataFrame(rows))
    write_evidence("fits", "Unpenalised fits of real matrices", text, "make prove")


def heldout() -> None:
    """Predict 10 % masked cells with and without the weak prior."""
    rows = []
    for name in MATRICES:
        data = read_responses(data_folder() / f"leaderboard/{name}.responses.parquet")
        seen, hidden = mask_cells(data, 0.1, seed=1)
        for model in MODELS:
            scores = {
                prior: held_out_log_scores(data, seen, hidden, model, prior, 61, THREADS)
                for prior in ("none", "weak")
            }
            gap = scores["weak"] - scores["none"]
            error = gap.std() / np.sqrt(len(gap))
            by_item = clustered_error(gap, np.nonzero(hidden)[1])
            rows.append(
                {
                    "matrix": name,
                    "model": model,
                    "cells": len(gap),
                    "none": f"{scores['none'].mean():.5f}",
                    "weak": f"{scores['weak'].mean():.5f}",
                    "weak - none": f"{gap.mean():.2e}",
                    "standard error": f"{error:.1e}",
                    "in standard errors": f"{gap.mean() / error:.1f}",
                    "in standard errors, by item": f"{gap.mean() / by_item:.1f}",
                }
            )
    text = (
        "Mean log predictive probability of 10 % masked responses (higher is better), items "
        "calibrated without them, 61 points. Standard errors of the mean difference, over cells "
        "as if independent, and clustered by item (a prior moves all cells of an item together)."
        "\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("heldout", "Held-out cells with and without the weak prior", text, "make prove")


def clustered_error(values: np.ndarray, cluster: np.ndarray) -> float:
    """Return the standard error of a mean whose terms are independent between clusters."""
    sums = np.bincount(cluster, values - values.mean())
    n = np.count_nonzero(np.bincount(cluster))
    return float(np.sqrt((sums**2).sum() * n / (n - 1)) / len(values))


def recovery() -> None:
    """Coverage of item parameters with 200 replications, native; a few with mirt."""
    studies = {
        "native": (["1PL", "2PL"], ["none"], "200", ["500", "2000"]),
        "native weak": (["3PL", "4PL"], ["weak"], "200", ["2000"]),
        "mirt": (["2PL"], ["none"], "10", ["500"]),
    }
    tables = []
    for label, (models, shapes, replications, subjects) in studies.items():
        out = EVIDENCE / f"recovery_{label.replace(' ', '_')}.parquet"
        command = [sys.executable, "-m", "itemwise", "recover-parameters", "--n-items", "20"]
        command += ["--irt-models", *models, "--priors", *shapes, "--n-subjects", *subjects]
        command += ["--missing", "0", "0.2"] if label == "native" else ["--missing", "0"]
        command += ["--replications", replications, "--engine", label.split()[0]]
        command += ["--out", str(out), "--figure", str(out.with_suffix(".png"))]
        subprocess.run(command, check=True)
        tables.append(read_table(out, "recovery"))
        out.unlink()
    table = pd.concat(tables).round(4)
    text = (
        "20 items; 200 replications (mirt: 10). 95 % intervals from the observed information.\n\n"
        + markdown(table)
        + "\n\n![1PL and 2PL](recovery_native.png)\n\n![3PL and 4PL](recovery_native_weak.png)"
    )
    write_evidence("recovery", "Parameter recovery", text, "make prove")


def agreement() -> None:
    """Standard errors and estimates beside mirt's on a real, well-identified matrix."""
    data = read_responses(data_folder() / "leaderboard/gsm8k_secondary.responses.parquet")
    data = data.take(items=np.arange(0, 249, 4))
    native, _ = irt.fit(data, "2PL", quadrature=61, standard_errors=True, threads=THREADS)
    reference, record = irt.fit(data, "2PL", engine="mirt", quadrature=61, standard_errors=True)
    result = compare_engines(data, native, reference)
    tame = native["a"].abs() < 5
    rows = [
        {
            "quantity": f"standard error of {name}",
            "largest relative difference": f"{gap.max():.4f}",
            "median": f"{gap.median():.5f}",
        }
        for name in ("a", "d")
        for gap in [(native[f"se_{name}"] / reference[f"se_{name}"] - 1).abs()[tame]]
    ]
    text = (
        f"gsm8k_secondary, every fourth item ({len(native)} items, {len(data.subjects)} models), "
        f"2PL, 61 points; mirt {record['version']}, SE.type = 'Oakes'.\n\n"
        + markdown(pd.DataFrame(rows))
        + f"\n\nLog-likelihoods: native {result['native']['log_likelihood_61']:.4f}, mirt "
        f"{result['reference']['log_likelihood_61']:.4f}. Largest difference of a "
        f"{result['difference_a']['largest']:.5f}, of d "
        f"{result['difference_d']['largest']:.5f}, of abilities "
        f"{result['theta_largest_difference']:.6f}."
    )
    write_evidence("agreement", "Agreement with mirt", text, "make prove")


def leaderboard() -> None:
    """Calibrate a simulated whole leaderboard, 5,000 x 28,632, from two starts."""
    rng = np.random.default_rng(0)
    truth = draw_items(rng, "item", 28_632, 0.0)
    theta = rng.standard_normal(5000)
    data = simulate_responses(truth, theta, 1)
    data, constant, _ = check_varying(data, "drop")
    slopes, intercepts = correlation_start(data.matrix)
    starts = {
        "item-total correlations": np.column_stack([slopes, intercepts]),
        "all slopes 1, intercepts 0": np.column_stack([np.sign(slopes), 0 * intercepts]),
    }
    rows = []
    for label, start in starts.items():
        began = time.perf_counter()
        table, record = fit_native(data, "2PL", "none", None, False, THREADS, 500, starts=[start])
        seconds = time.perf_counter() - began
        abilities = irt.score(data, table, "EAP", threads=THREADS)["theta"]
        both = table.merge(truth, "inner", "item", suffixes=("", "_true"))
        rows.append(
            {
                "start": label,
                "seconds": f"{seconds:.0f}",
                "iterations": record["n_iterations"],
                "points": record["quadrature"]["points"],
                "log-likelihood": f"{record['log_likelihood']:.2f}",
                "when doubled": f"{record['log_likelihood_fine']:.2f}",
                "converged": record["converged"],
                "SD of abilities": f"{abilities.std():.4f}",
                "median a / true a": f"{(both['a'] / both['a_true']).median():.4f}",
                "correlation of theta": f"{np.corrcoef(abilities, theta)[0, 1]:.5f}",
            }
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    text = (
        f"Simulated 2PL, 5,000 models x {len(data.items)} items ({len(constant)} constant items "
        f"dropped), {THREADS} threads, automatic quadrature. Peak memory of the process "
        f"{peak:.1f} GiB. SD of the true abilities drawn: {theta.std():.4f}; the scale is that on "
        "which the sample is N(0, 1).\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("leaderboard_scale", "A whole leaderboard at once", text, "make prove")


def pipeline() -> None:
    """Run the pipeline on the real leaderboard data and keep what its report shows."""
    from itemwise.report.content import load_benchmark, summary

    began = time.perf_counter()
    config = "tests/config/leaderboard.yaml"
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", config]
    subprocess.run([*command, "--quiet", "all"], cwd=ROOT, check=True)
    seconds = time.perf_counter() - began
    run = ROOT / "results" / "leaderboard"
    rows = []
    for name in ("arc", "gsm8k"):
        row = summary(load_benchmark(run, name, False, False))
        forms = row.pop("random")
        names = {"n": "forms", "median": "rmse", "low": "rmse_low", "high": "rmse_high"}
        rows.append(row | {f"random_{name}": forms[key] for key, name in names.items()})
    table = pd.DataFrame(rows).round(3)
    text = f"`{config}`, {seconds:.0f} s on 2 cores.\n\n" + markdown(table)
    write_evidence("pipeline", "The pipeline on real leaderboard data", text, "make prove")
    draw()


PROOFS = {
    "fits": fits,
    "heldout": heldout,
    "agreement": agreement,
    "leaderboard": leaderboard,
    "build_scale": build_scale,
    "recovery": recovery,
    "priors": priors,
    "optimum": optimum,
    "pipeline": pipeline,
    "bank": bank,
    "random_baseline": random_baseline,
    "process": process,
    "few_models": few_models,
    "calibration_error": calibration_error,
    "adaptive_few": adaptive_few,
    "edge_runs": edge_runs,
    "published_forms": published_forms,
    "error_by_size": error_by_size,
    "coverage": cross_fitted_coverage,
    "controls": controls,
    "readout_choices": readout_choices,
    "settings_search": settings_search,
    "cat_choices": cat_choices,
    "harness": harness,
    "prefix_sharing": prefix_sharing,
    "real_model": real_model,
    "real_form": real_form,
    "sample_logs": sample_logs,
    "real_inputs": real_inputs,
    "evaluation_kills": evaluation_kills,
    "cat_engines": cat_engines,
    "cat_study": cat_study,
    "live": live,
    "pythia": pythia,
    "collect": collect_leaderboard,
    "collect_scale": collect_scale,
    "kills": kills,
    "slurm": slurm,
    "slurm_demo": slurm_demo,
    "drill": drill,
    "suite_rows": suite_rows,
    "demo": demo,
    "report_page": report_page,
    "deployment": deployment,
    "fresh_clone": fresh_clone,
}

if __name__ == "__main__":
    for proof in sys.argv[1:] or PROOFS:
        print(f"--- {proof}", flush=True)
        PROOFS[proof]()
