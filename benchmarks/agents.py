"""Proof of read-outs that few models train: agents and models, random forms, random splits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from common import data_folder, markdown, write_evidence

from itemwise import irt
from itemwise.irt.cross_calibration import by_fold, calibrate_folds
from itemwise.irt.prior import Moments
from itemwise.readout.answered import Calibrated
from itemwise.readout.gam import predict_full_scores
from itemwise.readout.implied import Pool, form_answers
from itemwise.readout.process import fit_process
from itemwise.readout.process_tables import PROCESS
from itemwise.responses.matrix import Responses, from_frame, read_responses
from itemwise.responses.sets import Training
from itemwise.tables.contract import open_parquet

SUITES = {
    "SWE-bench Verified": ("agents/swebench_verified", (20, 30, 50, 80, 107)),
    "Terminal-Bench": ("agents/terminalbench", (20, 50, 90)),
    "MMLU-Pro": ("open/mmlu-pro", (20,)),
}
"""File of the responses, and how many models train."""
MOST_ITEMS = 1500
"""Items of a benchmark that take part, at random where there are more."""
SHARES = (0.05, 0.1, 0.2)
FEWEST_ITEMS = 5
SPLITS, FORMS = 6, 2
"""Splits of each size, and forms of each; what one form happens to hold moves all errors."""
N_FOLDS = 5
STRATA = 5
COVERED = (0.86, 0.94)
"""What 90 % intervals are to hold from 20 models on."""
AGENTS_GOAL = 3.9
"""RMSE that was aimed at on SWE-bench Verified from 30 agents."""
RIVALS = {
    "implied": "implied",
    "smooths": "smooths",
    "mean": "mean",
    "stratified": "stratified mean",
}


def few_models() -> None:
    """Rebuild scores from random forms, calibrated and trained by 20 to 107 models."""
    rows = []
    for name, (file, sizes) in SUITES.items():
        responses = whole_matrix(file)
        for n in sizes:
            print(f"{name}, {n} models", flush=True)
            table = pd.concat(tried(responses, n, split) for split in range(SPLITS))
            for share, part in table.groupby("share"):
                row = {"benchmark": name, "training models": n}
                row["predicted"] = len(responses.subjects) - n
                rows.append({**row, "items": f"{share:.0%}", **judged(part)})
    table = pd.DataFrame(rows)
    text = (
        f"Random splits, {SPLITS} of each size, {FORMS} forms each: so many models calibrate (2PL, "
        "estimated prior) and train, all others are predicted; models of one maker may lie on both "
        "sides. Forms: 5, 10 or 20 % of the items, at random. As in a run, training models enter "
        f"with abilities by items that the other folds calibrated ({N_FOLDS} folds at random), and "
        "the pool is what was calibrated; there is no screening. `implied`: the model-implied "
        "score, with nothing fitted to full scores; `smooths`: the native ones; `stratified mean`: "
        "of the answers, by fifths of the training models' difficulty. MMLU-Pro: "
        f"{MOST_ITEMS:,} items at random. RMSE in points, over all splits and forms; coverage and "
        "mean width of the 90 % intervals of the process, SE over the splits.\n\n"
        f"{unreached(table)}\n\n{markdown(table.drop(columns=['share', 'best']))}"
    )
    write_evidence("few_models", "Read-outs that few models train", text, "make prove")


def whole_matrix(file: str) -> Responses:
    """Return the responses of a suite, of at most `MOST_ITEMS` items."""
    path = data_folder() / f"{file}.responses.parquet"
    table = open_parquet(path).to_pandas()
    if "response" in table:
        table = table.pivot_table(index="subject", columns="item", values="response")
        responses = from_frame(table.reset_index(), str(path))
    else:
        responses = read_responses(path)
    drawn = np.random.default_rng(9).permutation(len(responses.items))[:MOST_ITEMS]
    return responses.take(items=np.sort(drawn))


@dataclass(frozen=True)
class Split:
    """Models that calibrate and train, with their fold, and models to predict."""

    train: Responses
    test: Responses
    folds: pd.Series

    @cached_property
    def fitted(self) -> tuple[pd.DataFrame, dict]:
        """Parameters and record of a calibration with the default prior."""
        return irt.fit(self.train, "2PL")

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Table `parameters`, by item: those that all answer alike have a prior."""
        return self.fitted[0].set_index("item", drop=False)

    @cached_property
    def fold_parameters(self) -> pd.DataFrame:
        """Table `fold_parameters`."""
        moments = Moments.from_record(self.fitted[1]["prior_values"])
        return calibrate_folds(self.train, self.folds, self.fitted[0], "2PL",
                               self.fitted[1]["prior"], moments)[0]  # fmt: skip

    @property
    def pool(self) -> Pool:
        """Sums over the calibrated items."""
        return self.calibrated.pool

    @cached_property
    def calibrated(self) -> Calibrated:
        """The training models with all that was calibrated on them."""
        models = Training(self.train, percent(self.train), self.folds.to_numpy())
        alike = self.train.take(items=~np.isin(self.train.items, self.parameters["item"]))
        return Calibrated("the split", models, self.parameters, Pool.of(self.parameters),
                          shares_right(alike))  # fmt: skip

    def whole(self, share: np.ndarray) -> np.ndarray:
        """Return percent right of all items, from the share of the calibrated ones."""
        alike = np.isin(self.train.items, self.parameters["item"], invert=True)
        known = percent(self.train.take(items=alike)).mean() * alike.sum() if alike.any() else 0
        return (100 * share * len(self.parameters) + known) / len(alike)

    def predict(self, items: np.ndarray) -> pd.DataFrame:
        """Predict the test models by a form; one row a model, one column a way."""
        form = self.parameters.loc[items]
        asked = [models.select_items(items, "the split") for models in (self.train, self.test)]
        crossed = by_fold(asked[0], self.folds, self.fold_parameters, "the split")
        crossed = pd.concat(irt.score(part, others) for part, others in crossed)
        crossed = crossed.set_index("subject").loc[self.train.subjects].reset_index()
        train = self.calibrated.answered(items.tolist(), crossed)
        known = irt.score(asked[1], form)
        theta, se = known["theta"].to_numpy(), known["se"].to_numpy()
        test = form_answers(asked[1].matrix, form, self.pool, theta, se)
        score, fold = percent(self.train), self.folds.to_numpy()
        fitted, _ = fit_process(train.answers, score, fold, implied=self.calibrated.implied)
        found = fitted.predict(test)
        smooths = predict_full_scores(
            (train.answers.filled[0], train.theta), score, fold, (test.filled[0], theta)
        )
        pool = self.train.select_items(self.parameters["item"], "the split")
        return found[["predicted", "lower", "upper"]].assign(
            full_score=percent(self.test),
            implied=self.whole(test.implied[:, 0] / 100),
            smooths=smooths,
            mean=self.whole(percent(asked[1]) / 100),
            stratified=self.whole(stratified_mean(pool, asked[1])),
        )


def tried(responses: Responses, n: int, split: int) -> pd.DataFrame:
    """Train by `n` models; return how all others are predicted by forms of each size."""
    rng = np.random.default_rng([n, split])
    order = rng.permutation(len(responses.subjects))
    train, test = (responses.take(subjects=rows) for rows in (order[:n], order[n:]))
    folds = pd.Series(rng.permutation(np.arange(n) % N_FOLDS) + 1, index=train.subjects)
    models = Split(train, test, folds)
    parts = []
    for _ in range(FORMS):
        items = rng.permutation(models.parameters["item"].to_numpy(object))
        for share in SHARES:
            size = max(FEWEST_ITEMS, round(share * len(responses.items)))
            parts.append(models.predict(items[:size]).assign(share=share))
    return pd.concat(parts).assign(split=split)


def shares_right(responses: Responses) -> np.ndarray:
    """Return the share of right answers to each item."""
    given = responses.administered
    return (responses.matrix * given).sum(axis=0) / np.maximum(given.sum(axis=0), 1)


def percent(responses: Responses) -> np.ndarray:
    """Return the percent right of the items that each model was given."""
    given = responses.administered
    return 100 * (responses.matrix * given).sum(axis=1) / given.sum(axis=1)


def stratified_mean(train: Responses, asked: Responses) -> np.ndarray:
    """Average answers within strata of difficulty; those without one count as in training."""
    easy = (train.matrix * train.administered).sum(axis=0) / train.administered.sum(axis=0)
    rank = np.argsort(np.argsort(easy, kind="stable"))
    stratum = pd.Series(rank * STRATA // len(rank), index=train.items)
    total = np.zeros(len(asked.subjects))
    for number, members in stratum.groupby(stratum):
        part = asked.take(items=np.isin(asked.items, members.index))
        given = part.administered.sum(axis=1)
        right = (part.matrix * part.administered).sum(axis=1)
        usual = easy[stratum == number].mean()
        share = np.where(given > 0, right / np.maximum(given, 1), usual)
        total += share * len(members) / len(stratum)
    return total


def judged(part: pd.DataFrame) -> dict:
    """Return the errors of each way, coverage and width."""
    true = part["full_score"]
    error = {name: np.sqrt(((part[name] - true) ** 2).mean()) for name in ["predicted", *RIVALS]}
    inside = true.between(part["lower"], part["upper"])
    shares = inside.groupby(part["split"]).mean()
    spread = shares.std(ddof=1) / np.sqrt(len(shares))
    return {
        f"RMSE, {PROCESS}": f"{error['predicted']:.2f}",
        **{f"RMSE, {label}": f"{error[name]:.2f}" for name, label in RIVALS.items()},
        "coverage": f"{inside.mean():.1%} (SE {spread:.1%})",
        "width": f"{(part['upper'] - part['lower']).mean():.1f}",
        "share": inside.mean(),
        "best": min(error[name] for name in RIVALS) - error["predicted"],
    }


def unreached(table: pd.DataFrame) -> str:
    """Say where the process does not gain, and which goals it misses."""
    where = table["benchmark"] + ", " + table["training models"].astype(str) + ", " + table["items"]
    worse = where[table["best"] < -0.005]
    outside = (where + ": " + table["coverage"])[~table["share"].between(*COVERED)]
    agents = table[where.str.startswith("SWE-bench Verified, 30,")]
    reached = agents.set_index("items")[f"RMSE, {PROCESS}"]
    lines = [
        f"- Another way is better than the process in {len(worse)} of {len(table)} rows"
        + (f": {'; '.join(worse)}." if len(worse) else "."),
        f"- Coverage outside {COVERED[0]:.0%} to {COVERED[1]:.0%}, the goal: "
        f"{'; '.join(outside) or 'nowhere'}.",
        f"- RMSE on SWE-bench Verified from 30 agents, goal {AGENTS_GOAL}: "
        + ", ".join(f"{value} by {items}" for items, value in reached.items())
        + " of the items.",
    ]
    return "**What is not reached**\n\n" + "\n".join(lines)
