"""Proof of trajectories: the published Pythia checkpoints as tables and as the 360 page."""

from __future__ import annotations

import base64
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import EVIDENCE, data_folder, markdown, write_evidence
from evaluation import itemwise
from scipy.special import expit

from itemwise.paths import ROOT
from itemwise.report.profile_figures import short
from itemwise.trajectories.folder import read_folder
from itemwise.trajectories.smooth import smooth

SIZES = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
TOKENS_PER_STEP = 1024 * 2048
SUITE = ROOT / "benchmarks" / "pythia-suite.csv"
SHOWN = ("arc_easy 0-shot", "lambada_openai 0-shot", "mmlu 5-shot", "sciq 0-shot",
         "winogrande 0-shot")  # fmt: skip
REPLICATIONS = 300


def pythia() -> None:
    """Build tables and page of 16 Pythia models at 27 steps, and write what they show."""
    pairs = [(f"pythia-{size}", f"pythia-{size}-deduped") for size in SIZES]
    models = [name for pair in pairs for name in pair]
    run = ROOT / "results" / "pythia"
    folder, page = run / "build_trajectories" / "trajectories", run / "profile.html"
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "accuracies.parquet"
        table = pd.read_parquet(data_folder() / "open" / "pythia-checkpoints.parquet")
        # The run of this size that goes with the others; published under its number format.
        table["model"] = table["model"].replace({"pythia-1b-bf16": "pythia-1b"})
        table.to_parquet(source)
        start = time.perf_counter()
        itemwise("build-trajectories", "--accuracies", source, "--tokens-per-step",
                 TOKENS_PER_STEP, "--suite", SUITE, "--models", *models, "--compare",
                 *(f"{first}={second}" for first, second in pairs), "--out", folder)  # fmt: skip
        built = time.perf_counter() - start
    start = time.perf_counter()
    itemwise("write-profile", "--trajectories", folder, "--suite", SUITE, "--title", "Pythia",
             "--out", page)  # fmt: skip
    written = time.perf_counter() - start
    pictures = save_figures(page)
    tables, record = read_folder(folder)
    trajectories = tables["trajectories"]
    text = [
        f"{len(models)} models of `open/pythia-checkpoints.parquet`, {steps(trajectories)} with "
        f"0 shots and 5 shots; {record['trajectories']} trajectories with the subjects of MMLU, "
        f"from {len(trajectories)} values with binomial errors. Tokens: step x "
        f"{TOKENS_PER_STEP:,}. {len(record['gaps'])} checkpoints lack analyses (5 shots were "
        "published from step 3,000 on); the page names them. Tables in "
        f"{built:.0f} s, page of {page.stat().st_size / 1e6:.1f} MB in {written:.0f} s. "
        "`pythia-1b` was published as `pythia-1b-bf16`.",
        "![trajectories: knowledge](pythia.png)",
        "![final checkpoint](pythia_final.png)",
        "## When things begin\n\nFirst change point that turns upwards, in training tokens "
        "(between two checkpoints), and the tokens at which the smoothed curve has 90 % of its "
        "gain, with 95 % intervals.\n\n" + markdown(begins(tables, models)),
        "## Does deduplication of the training data help?\n\n" + deduplication(tables, pairs),
        "## How noisy are the errors?\n\n" + scatter(tables),
        "## Do the bands hold?\n\n" + coverage(),
    ]
    write_evidence("pythia", "Training trajectories of Pythia", "\n\n".join(text), "make prove")
    print(f"the page: {page}; its figures: {', '.join(pictures)}")


def steps(trajectories: pd.DataFrame) -> str:
    """Say how many steps each model has."""
    counts = trajectories.groupby("model")["step"].nunique().unique()
    return " or ".join(f"{count} steps" for count in sorted(counts))


def save_figures(page: Path) -> list[str]:
    """Write two figures of the page, as it holds them, beside the evidence."""
    html = page.read_text(encoding="utf-8")
    names = {"trajectories: knowledge": "pythia.png", "final checkpoint": "pythia_final.png"}
    for alt, name in names.items():
        found = re.search(rf'alt="{alt}" src="data:image/png;base64,([^"]+)"', html)
        (EVIDENCE / name).write_bytes(base64.b64decode(found[1]))
    return list(names.values())


def begins(tables: dict, models: list[str]) -> pd.DataFrame:
    """Return first upward breaks and saturation of one run of each size."""
    breaks, measures = tables["change_points"], tables["trajectory_measures"]
    upward = breaks[(breaks["slope_after"] > breaks["slope_before"]) & (breaks["group"] == "")]
    saturated = measures[(measures["measure"] == "saturation") & (measures["group"] == "")]
    rows = []
    for model in models[::4] + models[-2:-1]:
        row = {"model": model}
        for name in SHOWN:
            first = upward[(upward["model"] == model) & (upward["analysis"] == name)].head(1)
            begin = "-"
            if len(first):
                begin = f"{short(first['at_before'].iloc[0])}-{short(first['at_after'].iloc[0])}"
            end = saturated[(saturated["model"] == model) & (saturated["analysis"] == name)]
            value, lower, upper = end[["value", "lower", "upper"]].iloc[0]
            reached = "-" if np.isnan(value) else f"{short(value)} ({short(lower)}-{short(upper)})"
            row[name] = f"{begin}; {reached}"
        rows.append(row)
    return pd.DataFrame(rows)


def deduplication(tables: dict, pairs: list[tuple[str, str]]) -> str:
    """Say where the runs of a size differ at the end."""
    table = tables["run_comparisons"]
    table = table[table["group"] == ""]
    apart = table[(table["final_lower"] > 0) | (table["final_upper"] < 0)]
    rows = pd.DataFrame(
        {
            "size": apart["first"].str.removeprefix("pythia-"),
            "analysis": apart["analysis"],
            "standard less deduplicated at the end (points)": [
                f"{100 * r.final_difference:+.1f} ({100 * r.final_lower:+.1f} to "
                f"{100 * r.final_upper:+.1f})"
                for r in apart.itertuples()
            ],
            "apart from": apart["parted_at"].map(short),
        }
    )
    wins = (table["final_difference"] < 0).mean()
    return (
        f"Of {len(table)} comparisons ({len(pairs)} sizes, {table['analysis'].nunique()} analyses) "
        f"{len(apart)} differ at the end of training by more than their 95 % interval; by chance "
        f"about {0.05 * len(table):.0f} of {len(table)} would with exact intervals, fewer with "
        f"these, which take shared errors for independent. The deduplicated run is ahead in "
        f"{wins:.0%}.\n\n" + markdown(rows)
    )


def scatter(tables: dict) -> str:
    """Say how the scatter around the curves compares with binomial errors."""
    table = tables["trajectory_measures"]
    table = table[(table["measure"] == "scatter") & (table["group"] == "")]
    grouped = table.groupby("analysis", sort=False)["value"]
    rows = grouped.quantile([0.1, 0.5, 0.9]).unstack().round(2).reset_index()
    rows.columns = ["analysis", "10 %", "median", "90 %"]
    return (
        "Variance around the smoothed curve over what binomial errors say, quantiles over "
        "models. All checkpoints answer the same items, so that most of a binomial error moves "
        "a whole curve and not its points against each other: values below 1.\n\n" + markdown(rows)
    )


def coverage() -> str:
    """Simulate runs of known truth at Pythia's steps and count what the bands hold."""
    rng = np.random.default_rng(1)
    at = np.r_[2.0 ** np.arange(10), 1000, 3000, np.arange(13000, 143001, 10000)]
    x = np.log10(at * TOKENS_PER_STEP)
    truths = {
        "rise": 0.25 + 0.45 * expit(4 * (x - 9.6)),
        "straight line": 0.2 + 0.03 * (x - 6),
        "constant": np.full(len(x), 0.3),
        "rise and fall": 0.3 + 0.3 * expit(3 * (x - 9)) - 0.1 * expit(4 * (x - 10.8)),
    }
    rows = []
    for name, truth in truths.items():
        for items in (100, 1000):
            for shared in (0.0, 0.5, 0.9):
                se = np.sqrt(truth * (1 - truth) / items)
                hits, widths = [], []
                for _ in range(REPLICATIONS):
                    own = np.sqrt(1 - shared) * rng.standard_normal(len(x))
                    noise = own + np.sqrt(shared) * rng.standard_normal()
                    lower, upper = smooth(x, truth + se * noise, se).band(x)
                    hits.append((lower <= truth) & (truth <= upper))
                    widths.append(np.mean((upper - lower) / (2 * 1.96 * se)))
                share = np.mean(hits, axis=0)
                rows.append(
                    {"truth": name, "items": items, "shared error variance": f"{shared:.0%}",
                     "covered": f"{share.mean():.1%}", "worst checkpoint": f"{share.min():.1%}",
                     "width over that of a point": f"{np.mean(widths):.2f}"}
                )  # fmt: skip
    return (
        f"95 % bands at the checkpoints, {REPLICATIONS} simulated runs each; `shared`: part of "
        "the binomial variance that all checkpoints have in common. They are wider than needed "
        "where no error is shared, since this has to be guessed from the scatter.\n\n"
        + markdown(pd.DataFrame(rows))
    )
