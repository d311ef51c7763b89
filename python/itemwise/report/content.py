"""What the report says: read from a run's tables and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.errors import UserError
from itemwise.files import read_record
from itemwise.readout import accuracy
from itemwise.selection import MAIN_FORM
from itemwise.tables import read_table


@dataclass(frozen=True)
class Benchmark:
    """Everything that the report shows of one benchmark."""

    name: str
    build: dict
    screen: pd.DataFrame
    fit: dict
    parameters: pd.DataFrame
    abilities: pd.DataFrame
    selection: pd.DataFrame
    select: dict
    reconstructions: pd.DataFrame
    truth: dict[str, pd.DataFrame] = field(default_factory=dict)
    agreement: dict | None = None

    @property
    def form(self) -> pd.DataFrame:
        """Parameters of the selected items, in order of selection."""
        chosen = self.selection.loc[self.selection["form"] == MAIN_FORM, "item"]
        return self.parameters.set_index("item", drop=False).loc[chosen]

    @property
    def test(self) -> pd.DataFrame:
        """Reconstructions of test subjects from the selected form."""
        table = self.reconstructions
        return table[(table["set"] == "test") & (table["form"] == MAIN_FORM)]

    @property
    def random_accuracy(self) -> pd.DataFrame:
        """RMSE and MAE of test subjects, one row a random form."""
        table = self.reconstructions
        table = table[(table["set"] == "test") & (table["form"] != MAIN_FORM)]
        return pd.DataFrame([accuracy(part) for _, part in table.groupby("form")])

    @property
    def excluded(self) -> pd.DataFrame:
        """Screened-out items with their statistics and reasons."""
        return self.screen[self.screen["keep"] == 0]


def load_benchmark(run: Path, name: str, simulated: bool, reference: bool) -> Benchmark:
    """Read one benchmark of a run (`results/<run>`)."""

    def file(stage: str, suffix: str = "parquet") -> Path:
        return run / stage / f"{name}.{suffix}"

    truth = {}
    if simulated:
        for table in ("parameters", "abilities"):
            truth[table] = read_table(file("simulate_population", f"{table}.parquet"), table)
    return Benchmark(
        name=name,
        build=read_record(file("build_responses", "json")),
        screen=read_table(file("screen_items"), "items"),
        fit=read_record(file("fit_irt", "json")),
        parameters=read_table(file("fit_irt"), "parameters"),
        abilities=read_table(file("score_subjects"), "abilities"),
        selection=read_table(file("select_items"), "selection"),
        select=read_record(file("select_items", "json")),
        reconstructions=read_table(file("fit_readout"), "reconstructions"),
        truth=truth,
        agreement=read_record(file("compare_engines", "json")) if reference else None,
    )


def summary(benchmark: Benchmark) -> dict:
    """Return a benchmark's row of the first table."""
    _check_content(benchmark)
    ours = accuracy(benchmark.test)
    random = benchmark.random_accuracy
    return {
        "name": benchmark.name,
        "subjects": benchmark.build["n_subjects"],
        "scored": benchmark.build["n_full_scores"],
        "items": benchmark.build["n_items"],
        "kept": int((benchmark.screen["keep"] == 1).sum()),
        "selected": benchmark.select["n_selected"],
        "test_subjects": len(benchmark.test),
        "level": float(benchmark.test["level"].iloc[0]),
        **ours,
        "random_forms": len(random),
        "random_rmse": random["rmse"].median(),
        "random_mae": random["mae"].median(),
        "random_rmse_low": random["rmse"].quantile(0.05),
        "random_rmse_high": random["rmse"].quantile(0.95),
    }


def _check_content(benchmark: Benchmark) -> None:
    """Refuse a run that has nothing to judge by."""
    if benchmark.test.empty:
        raise UserError(
            f"benchmark '{benchmark.name}': no test model has a full score; raise config key "
            "'split.test' or add full scores"
        )
    if benchmark.random_accuracy.empty:
        raise UserError(
            f"benchmark '{benchmark.name}': no random forms to compare with; select items with "
            "--random-forms"
        )


def recovery(benchmark: Benchmark) -> list[dict]:
    """Compare estimates with the truth of a simulated benchmark.

    Estimates live on the scale on which training abilities are N(0, 1); a sample's mean
    and spread differ a little from the population's, so that parameters do too.
    """
    if not benchmark.truth:
        return []
    rows = []
    both = benchmark.parameters.merge(benchmark.truth["parameters"], "inner", "item")
    for parameter in ("a", "d", "g"):
        estimate, true = both[f"{parameter}_x"], both[f"{parameter}_y"]
        if true.nunique() > 1:
            rows.append(_agreement(f"item {parameter}", estimate, true))
    both = benchmark.abilities.merge(benchmark.truth["abilities"], "inner", "subject")
    rows.append(_agreement("ability theta", both["theta_x"], both["theta_y"]))
    return rows


def screen_reasons(benchmark: Benchmark) -> list[tuple[str, int]]:
    """Count the excluded items by rule (an item may break several)."""
    rules = benchmark.excluded["reason"].str.split("; ").explode()
    # "mean 0.98 > 0.95" counts under "mean > 0.95".
    kinds = rules.str.replace(r" \S+ (?=[<>])", " ", regex=True)
    return list(kinds.value_counts().items())


def _agreement(name: str, estimate: pd.Series, true: pd.Series) -> dict:
    """Return correlation, bias and RMSE of estimates against the truth."""
    error = estimate - true
    return {
        "name": name,
        "n": len(error),
        "correlation": float(np.corrcoef(estimate, true)[0, 1]),
        "bias": float(error.mean()),
        "rmse": float(np.sqrt((error**2).mean())),
    }
