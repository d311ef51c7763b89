"""What the report says: read from a run's tables and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.bank.power import minimum_detectable_difference
from itemwise.errors import UserError
from itemwise.forms import MAIN_FORM, RANDOM, WHOLE_POOL
from itemwise.readout.accuracy import accuracy, calibration_share, clustered_se, gain, rmse
from itemwise.readout.features import OVERALL
from itemwise.readout.process_tables import JOINT, JOINT_SMOOTHS, PROCESS
from itemwise.report.conclusions import plausible, spread
from itemwise.tables.results import optional_result, read_result


@dataclass(frozen=True)
class Benchmark:
    """Everything that the report shows of one benchmark."""

    name: str
    build: dict
    screen: pd.DataFrame
    excluded_by: dict[str, int]
    fit: dict
    parameters: pd.DataFrame
    abilities: pd.DataFrame
    selection: pd.DataFrame
    select: dict
    reconstructions: pd.DataFrame
    trained: pd.DataFrame
    process: dict
    baseline: pd.DataFrame
    cluster: pd.Series
    calibration_share: float | None = None
    truth: dict[str, pd.DataFrame] = field(default_factory=dict)
    agreement: dict | None = None
    search: dict | None = None
    adaptive: pd.DataFrame | None = None
    preselection: dict | None = None

    @property
    def form(self) -> pd.DataFrame:
        """Parameters of the selected items, in order of selection."""
        chosen = self.selection.loc[self.selection["form"] == MAIN_FORM, "item"]
        return self.parameters.set_index("item", drop=False).loc[chosen]

    @property
    def test(self) -> pd.DataFrame:
        """Reconstructions of test subjects from the selected form, main read-out."""
        return self.tested(MAIN_FORM, PROCESS)

    def tested(self, form: str, readout: str) -> pd.DataFrame:
        """Return the reconstructions of test subjects from a form by a read-out."""
        table = self.reconstructions
        asked = (table["form"] == form) & (table["readout"] == readout)
        return table[asked & (table["set"] == "test")]

    def drawn(self, readout: str) -> pd.DataFrame:
        """Return the reconstructions of test subjects from random forms by a read-out."""
        table = self.reconstructions
        asked = table["form"].str.startswith(RANDOM) & (table["readout"] == readout)
        return table[asked & (table["set"] == "test")]

    def random_accuracy(self, readout: str) -> pd.DataFrame:
        """Return RMSE, MAE and coverage of test subjects, one row a random form."""
        rows = [accuracy(part) for _, part in self.drawn(readout).groupby("form")]
        return pd.DataFrame(rows, columns=["rmse", "mae", "coverage"], dtype=float)

    @property
    def detectable(self) -> dict:
        """The smallest difference that the selected form finds, by training models.

        Their errors hold what the choice of items costs: each fold is predicted by the items that
        the others choose.
        """
        own = (self.trained["form"] == MAIN_FORM) & (self.trained["readout"] == PROCESS)
        return minimum_detectable_difference(self.trained[own])

    @property
    def test_clusters(self) -> pd.Series:
        """Return what each row of `test` may err alike with: itself, where nothing is known."""
        subjects = self.test["subject"]
        return subjects.map(self.cluster).fillna(subjects)

    @property
    def excluded(self) -> pd.DataFrame:
        """Screened-out items with their statistics and reasons."""
        return self.screen[self.screen["keep"] == 0]


def load_benchmark(run: Path, name: str, simulated: bool, reference: bool) -> Benchmark:
    """Read one benchmark of a run (`results/<run>`)."""

    def read(stage: str, what: str, reader=read_result):
        return reader(run, stage, what, benchmark=name)

    def optional(stage: str, what: str):
        return read(stage, what, optional_result)

    truth = {}
    if simulated:
        truth = {what: read("simulate_population", what) for what in ("parameters", "abilities")}
    search = optional("search_selection", "record")
    if search:
        trials = read("search_selection", "trials")
        search = {**search, "trials_each": search["trials"], "trials": trials}
    return Benchmark(
        name=name,
        build=read("build_responses", "record"),
        screen=read("screen_items", "item_table"),
        excluded_by=read("screen_items", "record")["excluded_by"],
        fit=read("fit_irt", "record"),
        parameters=read("fit_irt", "parameters"),
        abilities=pool_abilities(
            read("score_subjects", "abilities"), read("score_test", "abilities")
        ),
        selection=read("select_items", "selection"),
        select=read("select_items", "record"),
        reconstructions=read_test(run, name),
        trained=read("fit_process", "reconstructions"),
        process=read("fit_process", "record")["forms"][MAIN_FORM][PROCESS],
        calibration_share=calibration_share(read("score_forms", "abilities")),
        baseline=read("draw_baseline", "baseline"),
        cluster=clusters(read("build_responses", "subjects")),
        truth=truth,
        agreement=read("compare_engines", "record") if reference else None,
        adaptive=optional("simulate_cat", "study"),
        preselection=optional("preselect_items", "record"),
        search=search,
    )


def pool_abilities(training: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Return the abilities of all models from the whole calibrated pool."""
    return pd.concat([training, test[test["form"] == WHOLE_POOL]], ignore_index=True)


def clusters(subjects: pd.DataFrame) -> pd.Series:
    """Return what models may err alike with: their group, else organization, else nobody.

    The index is the subject, the name `group`, `organization` or `model`: the coarsest
    that is known of any model.
    """
    known = subjects.set_index("subject")
    for column in ("group", "organization"):
        if known[column].notna().any():
            return known[column].fillna(known.index.to_series()).rename(column)
    return known.index.to_series().rename("model")


def read_test(run: Path, name: str, table: str = "reconstructions") -> pd.DataFrame:
    """Return what assess_readout wrote of the test models of a benchmark."""
    rows = read_result(run, "assess_readout", table)
    return rows[rows["benchmark"] == name]


def read_overall(run: Path, readout: str = JOINT) -> pd.DataFrame:
    """Return the reconstructions of the mean of all benchmarks; no rows where there are none."""
    table = read_test(run, OVERALL)
    return table[table["readout"] == readout]


def summary(benchmark: Benchmark) -> dict:
    """Return a benchmark's row of the first table."""
    _check_content(benchmark)
    ours = accuracy(benchmark.test)
    random = benchmark.random_accuracy(PROCESS)
    cluster = benchmark.test_clusters
    test = benchmark.test
    error = test["predicted"] - test["full_score"]
    return {
        "name": benchmark.name,
        "sd": float(test["full_score"].std()),
        "spearman": float(test["predicted"].corr(test["full_score"], method="spearman")),
        "se": clustered_se(error, cluster),
        "clusters": cluster.nunique(),
        "clustered_by": benchmark.cluster.name,
        "subjects": benchmark.build["n_subjects"],
        "scored": benchmark.build["n_full_scores"],
        "items": benchmark.build["n_items"],
        "kept": int((benchmark.screen["keep"] == 1).sum()),
        "selected": benchmark.select["n_selected"],
        "test_subjects": len(test),
        "level": float(test["level"].iloc[0]),
        **ours,
        "random": spread(random["rmse"]),
        **dict(zip(("gain", "gain_se"), random_gain(benchmark), strict=True)),
        "beaten": float((random["rmse"] > ours["rmse"]).mean()) if len(random) else 0.0,
    }


def random_gain(benchmark: Benchmark) -> tuple[float, float]:
    """Return by how much the selected form errs less than random ones, and its standard error."""
    test, drawn = benchmark.test.set_index("subject"), benchmark.drawn(PROCESS)
    drawn = drawn.assign(error=drawn["predicted"] - drawn["full_score"])
    others = drawn.pivot(index="subject", columns="form", values="error").reindex(test.index)
    return gain(test["predicted"] - test["full_score"], others, benchmark.test_clusters)


def factor_rows(run: Path) -> list[dict]:
    """Return the factor solutions of scores and abilities; none where there are no factors.

    Each with its loadings: benchmark to one number a factor.
    """
    solved = optional_result(run, "analyze_factors", "record")
    if solved is None or "left_out" in solved:
        return []
    table = read_result(run, "analyze_factors", "loadings")
    rows = []
    for measure, solutions in solved.items():
        for solution in solutions:
            part = table[table["measure"] == measure]
            part = part[part["n_factors"] == solution["n_factors"]]
            loadings = part.groupby("benchmark", sort=False)["loading"].apply(list).to_dict()
            # R writes a single number where there is one factor.
            variance = np.atleast_1d(solution["variance"]).tolist()
            row = {"measure": measure, **solution, "variance": variance, "loadings": loadings}
            rows.append(row)
    return rows


def left_out(run: Path) -> list[str]:
    """Return why analyses over all benchmarks were left out; nothing where none was."""
    factors = optional_result(run, "analyze_factors", "record") or {}
    joint = read_result(run, "assess_readout", "record")
    return [reason for reason in (joint.get("joint_left_out"), factors.get("left_out")) if reason]


def gains(benchmark: Benchmark) -> list[dict]:
    """Set selection and reconstruction apart: RMSE on test subjects of every combination.

    Rows: the reconstruction model. Columns: the selected form, and random forms of its size
    (`random`, from `spread`; None where there are none).
    """
    none = pd.Series(dtype=float)
    of_form = benchmark.tested
    rows = [
        _gain("one smooth of the sub-score, as metabench's baseline", None,
              benchmark.baseline["rmse"]),
        _gain("smooth of ability alone", of_form(MAIN_FORM, "ability"), none),
        _gain("smooths of linear predictor, ability and sub-score", of_form(MAIN_FORM, "form"),
              none),
        _gain("Gaussian process over the answers", benchmark.test,
              benchmark.random_accuracy(PROCESS)["rmse"]),
    ]  # fmt: skip
    joint = {"Gaussian process over the answers to all benchmarks": JOINT,
             "smooths with the other benchmarks": JOINT_SMOOTHS}  # fmt: skip
    for name, readout in joint.items():
        table = of_form(MAIN_FORM, readout)
        rows += [] if table.empty else [_gain(name, table, none)]
    return rows


def _gain(name: str, test: pd.DataFrame | None, random: pd.Series) -> dict:
    """Return one row of `gains`."""
    return {
        "name": name,
        "n": None if test is None else len(test),
        "rmse": None if test is None else rmse(test["predicted"], test["full_score"]),
        "random": spread(random) if len(random) else None,
    }


def coverage(benchmark: Benchmark, shown: int = 5) -> list[dict]:
    """Return coverage by third of the score range and of the largest test clusters.

    Clusters are groups, such as training runs, else the organizations of the table
    `subjects`; models without one count nowhere.
    """
    test = benchmark.test
    third = pd.cut(test["full_score"], 3, labels=["lowest", "middle", "highest"])
    parts = [("all test models", test)]
    parts += [(f"{name} third of the score range", part) for name, part in test.groupby(third)]
    if benchmark.cluster.name != "model":
        cluster = test["subject"].map(benchmark.cluster)
        cluster = cluster[cluster != test["subject"]]  # models without a known cluster
        for name in cluster.value_counts().head(shown).index:
            parts.append(
                (f"{benchmark.cluster.name} {name}", test.loc[cluster.index[cluster == name]])
            )
    return [_coverage(name, part) for name, part in parts if len(part)]


def by_distance(benchmark: Benchmark) -> list[dict]:
    """Return error and coverage of training models by how unlike all others they are.

    Rows: quarters, from models that some other answers like to those that none does.
    """
    names = ("most like another", "second quarter", "third quarter", "least like any other")
    rows = benchmark.process["by_distance"]
    return [{"name": name, **row} for name, row in zip(names, rows, strict=True)]


def _coverage(name: str, part: pd.DataFrame) -> dict:
    """Return one row of `coverage`; `low` and `high` are what chance leaves open."""
    found = accuracy(part)
    low, high = plausible(found["coverage"], len(part))
    return {
        "name": name, "n": len(part), "width": float((part["upper"] - part["lower"]).mean()),
        "low": low, "high": high, **found,
    }  # fmt: skip


def _check_content(benchmark: Benchmark) -> None:
    """Refuse a run that has nothing to judge by."""
    if benchmark.test.empty:
        raise UserError(
            f"benchmark '{benchmark.name}': no test model has a full score; raise config key "
            "'split.test' or add full scores"
        )
    if benchmark.random_accuracy(PROCESS).empty:
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
    """Return how many items each rule excluded, most first (an item may break several)."""
    counts = [(rule, n) for rule, n in benchmark.excluded_by.items() if n]
    return sorted(counts, key=lambda count: -count[1])


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
