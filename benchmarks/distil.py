"""Proofs of the distillation on real leaderboard data; `prove.py` runs them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import EVIDENCE, data_folder, markdown, write_evidence
from pipeline import (
    BENCHMARKS,
    SPLITS,
    calibrated,
    cut_again,
    options,
    read_jointly,
    read_out,
    select,
    stage,
    without_part,
)
from scipy.stats import binomtest

from itemwise.bank.bank import Bank
from itemwise.bank.power import minimum_detectable_difference
from itemwise.readout.accuracy import accuracy
from itemwise.readout.process_tables import PROCESS
from itemwise.report.figures import FORM, POOL, QUIET, RANDOM, STYLE, WARN
from itemwise.responses.matrix import MISSING, Responses, read_responses
from itemwise.tables.contract import open_parquet, read_table

SIZES = {
    "organization": (10, 20, 40, 60, 80, 100, 145, 200, 240),
    "random": (20, 60, 100, 200),
}
SELECTORS = ("reconstruction", "test-information", "anchors", "information")
RANDOM_FORMS = 20
DELETED = (0.1, 0.3, 0.6)
"""Shares of the responses to a form that are deleted to see what incomplete forms tell."""
THIRDS = ["lowest", "middle", "highest"]
PUBLISHED = {
    "arc_primary": (145, 2.008, 1.166),
    "arc_secondary": (100, 2.083, 1.303),
    "gsm8k_primary": (237, 1.837, 1.555),
    "gsm8k_secondary": (249, 1.907, 1.677),
}
"""Items, RMSE from ability alone and jointly over six benchmarks, of the published forms."""


def published_forms() -> None:
    """Read the published item sets out, with our calibration."""
    rows = []
    for split in SPLITS:
        errors, read = {}, {}
        with tempfile.TemporaryDirectory() as scratch:
            for benchmark in BENCHMARKS:
                folder = Path(scratch) / benchmark
                folder.mkdir()
                files = calibrated(split, benchmark)
                parts = [published_selection(benchmark, form) for form in ("primary", "secondary")]
                read[benchmark] = read_out(files, benchmark, folder, pd.concat(parts))
                table = read_table(read[benchmark]["out"], "reconstructions")
                for (readout, form), part in table.groupby(["readout", "form"]):
                    errors[benchmark, form, readout] = accuracy(part)["rmse"], len(part)
            for form in ("primary", "secondary"):
                for benchmark, part in read_jointly(read, Path(scratch), form).groupby("benchmark"):
                    errors[benchmark, form, "joint"] = accuracy(part)["rmse"], len(part)
        for name, (n_items, ability, joint) in PUBLISHED.items():
            benchmark, form = name.split("_")
            ours = {r: errors[benchmark, form, r] for r in ("ability", "form", PROCESS, "joint")}
            rows.append(
                {
                    "form": name,
                    "items": n_items,
                    "split": split,
                    "test models": ours["form"][1],
                    "published, ability": ability,
                    "ours, ability": f"{ours['ability'][0]:.3f}",
                    "ours, form": f"{ours['form'][0]:.3f}",
                    "ours, process": f"{ours[PROCESS][0]:.3f}",
                    "published, joint of six": joint,
                    "ours, joint of two": f"{ours['joint'][0]:.3f}",
                }
            )
    text = (
        "RMSE on test models in points. Our calibration is that of the joined pool (both forms of "
        "a benchmark), from training models; the published figures are for 464 other test models "
        "at random and, jointly, with the features of six benchmarks where two are at hand here. "
        "Ours jointly are for the test models that have both benchmarks, fewer than `test models`."
        "\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("published_forms", "The published forms, read out by us", text, "make prove")


def published_selection(benchmark: str, form: str) -> pd.DataFrame:
    """Return a published form as selection table."""
    path = data_folder() / f"leaderboard/{benchmark}_{form}.mirt-items.parquet"
    items = open_parquet(path).to_pandas()["item"]
    table = pd.DataFrame({"benchmark": benchmark, "form": form, "item": items})
    table["rank"] = np.arange(1, len(table) + 1)
    return table.assign(information=np.nan, theta_at_maximum=np.nan)


def error_by_size() -> None:
    """Error against number of items: every selector, random forms, metabench's baseline."""
    text = []
    for split in SPLITS:
        for benchmark in BENCHMARKS:
            table = errors_of(calibrated(split, benchmark), benchmark, SIZES[split])
            figure = EVIDENCE / f"error_by_size_{benchmark}_{split}.png"
            draw_errors(table, benchmark, figure)
            shown = table.round(3).rename(columns={"n_items": "items"})
            text += [f"## {benchmark}, split: {split}", reached(table, benchmark), markdown(shown)]
            text += [f"![{benchmark}, {split}]({figure.name})"]
    head = (
        "RMSE on test models in points, read out by the process; `ability`: from theta alone. "
        f"`random`: median and 5-95 % band of {RANDOM_FORMS} random forms read out in "
        "exactly the same way. `one smooth`: 2,000 random subsets with metabench's smooth of the "
        "sub-score. The pools are the published forms joined: items that were selected before."
    )
    write_evidence("error_by_size", "Error against number of items", "\n\n".join([head, *text]),
                   "make prove")  # fmt: skip


def errors_of(files: dict, benchmark: str, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Return one row a size: RMSE of each selector and read-out, and of random forms."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parts = []
        for size in sizes:
            for method in SELECTORS:
                more = ["--random-forms", RANDOM_FORMS] if method == SELECTORS[0] else []
                path = select(files, benchmark, folder, method, size, *more)
                part = read_table(path, "selection")
                label = part["form"].where(part["form"] != "A", method)
                parts.append(part.assign(form=label + f" {size}"))
        made = read_out(files, benchmark, folder, pd.concat(parts))
        table = read_table(made["out"], "reconstructions")
        drawn = folder / "baseline.parquet"
        stage(
            *("itemwise", "draw-baseline", "--training", files["whole"], *options(files, "test")),
            *("--benchmark", benchmark, "--sizes", *sizes, "--draws", 2000),
            *("--out", drawn, "--record", folder / "baseline.json"),
        )
        smooth = read_table(drawn, "baseline").groupby("n_items")["rmse"]
    test = table[table["set"] == "test"]
    errors = test.groupby(["form", "readout"]).apply(lambda part: accuracy(part)["rmse"])
    errors = errors.rename("rmse").reset_index()
    errors[["selector", "size"]] = errors["form"].str.split(" ", expand=True)
    rows = []
    for size in sizes:
        part = errors[errors["size"] == str(size)].set_index(["selector", "readout"])["rmse"]
        random = part[[name for name in part.index if name[0].startswith("random")]]
        random = random.xs(PROCESS, level="readout")
        low, middle, high = random.quantile([0.05, 0.5, 0.95])
        ours = test[(test["form"] == f"reconstruction {size}") & (test["readout"] == PROCESS)]
        row = {"n_items": size, "detectable": minimum_detectable_difference(ours)["difference"]}
        for method in SELECTORS:
            row[method] = part[method, PROCESS]
        row["information, ability"] = part["information", "ability"]
        row |= {"random": middle, "random 5 %": low, "random 95 %": high}
        row |= {"one smooth": smooth.median()[size], "one smooth 5 %": smooth.quantile(0.05)[size]}
        rows.append({**row, "one smooth 95 %": smooth.quantile(0.95)[size]})
    return pd.DataFrame(rows)


def reached(table: pd.DataFrame, benchmark: str) -> str:
    """Say how few items reach the published errors of the benchmark's forms."""
    ours = table.set_index("n_items")["reconstruction"]
    lines = []
    for name, (n_items, ability, joint) in PUBLISHED.items():
        if name.startswith(benchmark):
            for what, error in (("from ability", ability), ("joint of six", joint)):
                few = ours.index[ours <= error]
                found = f"{few[0]} items" if len(few) else "not reached with 240 items"
                lines.append(f"- {name}, {n_items} items, {what} {error}: {found}")
    return "\n".join(lines)


def draw_errors(table: pd.DataFrame, benchmark: str, path: Path) -> None:
    """Draw error against number of items."""
    size = table["n_items"]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 4.6))
        axes.fill_between(size, table["one smooth 5 %"], table["one smooth 95 %"], color=POOL,
                          alpha=0.35, lw=0, label="random, one smooth (5-95 %)")  # fmt: skip
        axes.fill_between(size, table["random 5 %"], table["random 95 %"], color=RANDOM,
                          alpha=0.35, lw=0, label="random, our read-out (5-95 %)")  # fmt: skip
        lines = {
            "reconstruction": (FORM, "-"),
            "test-information": (QUIET, "-"),
            "anchors": (QUIET, ":"),
            "information": (WARN, "--"),
            "information, ability": (WARN, "-"),
        }
        for name, (colour, style) in lines.items():
            axes.plot(size, table[name], color=colour, ls=style, lw=1.8, marker="o", ms=3,
                      label=name.replace("information", "metabench's filter", 1)
                      if name.startswith("information") else name)  # fmt: skip
        for name, (n_items, ability, joint) in PUBLISHED.items():
            if name.startswith(benchmark):
                axes.scatter([n_items] * 2, [ability, joint], marker="x", color="black", zorder=5)
                above = 1 if name.endswith("primary") else -1
                axes.annotate(name.split("_")[1], (n_items, ability), (-12, 7 * above - 3),
                              textcoords="offset points", ha="right", fontsize=7)  # fmt: skip
        axes.set(title=benchmark, xlabel="items", ylabel="RMSE on test models (points)",
                 yscale="log", xscale="log")  # fmt: skip
        ticks = [1, 1.5, 2, 3, 4, 6, 8]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([10, 20, 50, 100, 240], ["10", "20", "50", "100", "240"])
        axes.minorticks_off()
        axes.legend(fontsize=7)
        figure.savefig(path, dpi=130)
        plt.close(figure)


def cross_fitted_coverage() -> None:
    """Predict every subject once, everything redone without its organizations."""
    text = []
    for benchmark, size in (("arc", 100), ("gsm8k", 200)):
        files = calibrated("organization", benchmark)
        splits = read_table(files["splits"], "splits")
        groups = splits["fold"].where(splits["set"] == "train", 0).astype(int)
        parts, holed = [], []
        for group in range(10):
            part, incomplete = unseen(files, benchmark, size, splits, groups, group)
            parts.append(part)
            holed.append(incomplete)
        table, incomplete = pd.concat(parts, ignore_index=True), pd.concat(holed)
        text += [f"## {benchmark}, {size} items", markdown(coverage_rows(table, parts[0]))]
        text += ["Largest organizations:", markdown(organization_rows(table))]
        text += ["Incomplete forms:", markdown(incomplete_rows(incomplete))]
    head = (
        "90 % intervals of the read-out `process`. Every model is predicted once: its organization "
        "lies in one of ten parts, and calibration, selection, read-out and intervals use the "
        "other nine. `single test set` is the part that the pipeline holds out; in brackets 95 % "
        "intervals of the share (binomial, as if models were independent). Incomplete forms: the "
        "same models, a share of their responses to the form deleted at random, scored as "
        "`score-model` does."
    )
    write_evidence("coverage", "Coverage on unseen organizations", "\n\n".join([head, *text]),
                   "make prove")  # fmt: skip


def unseen(files, benchmark, size, splits, groups, group) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the subjects of one part by all that the other parts tell.

    From the complete form, and from what is left of it without some responses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fold, path = without_part(files, benchmark, size, splits, groups, group, folder)
        selection = read_table(path, "selection")
        made = read_out(fold, benchmark, folder, selection, path.with_suffix(".json"))
        table = read_table(made["out"], "reconstructions")
        table = table[table["readout"] == PROCESS]
        bank = in_memory(made, benchmark)
        holed = [
            with_holes(bank, made, table, share, seed=group).assign(share=share)
            for share in DELETED
        ]
    return table, pd.concat(holed)


def in_memory(made: dict, benchmark: str) -> Bank:
    """Return a bank of one benchmark that was never written."""
    parameters = read_table(made["parameters"], "parameters")
    return Bank(
        {"benchmarks": {benchmark: {"scoring": "EAP"}}},
        parameters[["item"]].assign(benchmark=benchmark),
        parameters,
        read_table(made["selection"], "selection"),
        pd.concat(read_table(made[name], "terms") for name in ("terms", "process-terms")),
        read_table(made["linear"], "linear_predictors"),
        read_table(made["reference"], "reference"),
    )


def with_holes(bank: Bank, made: dict, table: pd.DataFrame, share: float, seed: int):
    """Score the models of a table by the bank, a share of their responses deleted."""
    responses = read_responses(made["responses"]).select_subjects(table["subject"].to_numpy(object))
    form = responses.select_items(bank.selection["item"].tolist(), "responses")
    deleted = np.random.default_rng(seed).random(form.matrix.shape) < share
    left = Responses(form.subjects, form.items, np.where(deleted, MISSING, form.matrix))
    scores = bank.score(left)
    return scores.merge(table[["subject", "full_score"]], on="subject")


def incomplete_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return coverage of incomplete forms by the share deleted, and by third of the range."""
    rows = []
    for share, part in table.groupby("share"):
        row = {"deleted": f"{share:.0%}", **covered(part)}
        for name, third in part.groupby(pd.cut(part["full_score"], 3, labels=THIRDS)):
            row[f"{name} third"] = covered(third)["coverage"]
        rows.append(row)
    return pd.DataFrame(rows)


def coverage_rows(table: pd.DataFrame, single: pd.DataFrame) -> pd.DataFrame:
    """Return coverage overall, by third of the score range, and of the single test set."""
    third = pd.cut(table["full_score"], 3, labels=THIRDS)
    parts = {"all": table}
    parts |= {f"{name} third of the score range": part for name, part in table.groupby(third)}
    parts |= {"single test set": single}
    return pd.DataFrame([{"part": name, **covered(part)} for name, part in parts.items()])


def organization_rows(table: pd.DataFrame, shown: int = 8) -> pd.DataFrame:
    """Return coverage of the organizations with most models."""
    organization = table["subject"].str.split("/").str[0]
    largest = organization.value_counts().head(shown).index
    rows = [{"organization": name, **covered(table[organization == name])} for name in largest]
    return pd.DataFrame(rows)


def covered(part: pd.DataFrame) -> dict:
    """Return the share of intervals that hold the full score, and what goes with it."""
    inside = part["full_score"].between(part["lower"], part["upper"])
    interval = binomtest(int(inside.sum()), len(inside)).proportion_ci()
    errors = accuracy(part)
    return {
        "models": len(part),
        "coverage": f"{inside.mean():.1%} ({interval.low:.1%}-{interval.high:.1%})",
        "RMSE": f"{errors['rmse']:.2f}",
        "mean width": f"{(part['upper'] - part['lower']).mean():.2f}",
    }


def controls() -> None:
    """Shuffled responses, and the agreement of parallel forms."""
    rng = np.random.default_rng(1)
    rows = []
    for benchmark, size in (("arc", 50), ("gsm8k", 100)):
        files = calibrated("organization", benchmark)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            path = select(files, benchmark, folder, "reconstruction", size, "--forms", 2)
            made = read_out(files, benchmark, folder, read_table(path, "selection"))
            table = read_table(made["out"], "reconstructions")
            test = table[(table["set"] == "test") & (table["readout"] == PROCESS)]
            wide = test.pivot(index="subject", columns="form", values="predicted").dropna()
            shuffled = shuffled_responses(files["responses"], folder, rng)
            control = {**files, "responses": shuffled}
            control |= {name: folder / f"{name}.parquet" for name in ("training", "test")}
            cut_again(control, benchmark, read_table(files["splits"], "splits"))
            path = select(control, benchmark, folder, "reconstruction", size)
            made = read_out(control, benchmark, folder, read_table(path, "selection"))
            null = read_table(made["out"], "reconstructions")
            null = null[(null["set"] == "test") & (null["readout"] == PROCESS)]
        spread = null["full_score"].std()
        rows.append(
            {
                "benchmark": benchmark,
                "items a form": size,
                "RMSE of A": f"{accuracy(test[test['form'] == 'A'])['rmse']:.2f}",
                "RMSE of B": f"{accuracy(test[test['form'] == 'B'])['rmse']:.2f}",
                "correlation of A and B": f"{wide.corr(method='spearman').iloc[0, 1]:.4f}",
                "mean of A - B": f"{(wide['A'] - wide['B']).mean():.3f}",
                "shuffled: RMSE": f"{accuracy(null)['rmse']:.2f}",
                "SD of the full score": f"{spread:.2f}",
            }
        )
    text = (
        "Two disjoint parallel forms, each read out by itself (Spearman correlation of the two "
        "reconstructed scores over test models), and the same pipeline with the responses to each "
        "item shuffled over models: nothing can be rebuilt, and nothing is.\n\n"
        + markdown(pd.DataFrame(rows))
    )
    write_evidence("controls", "Negative controls and parallel forms", text, "make prove")


def shuffled_responses(path: Path, folder: Path, rng) -> Path:
    """Shuffle the responses to each item over models."""
    from itemwise.responses.matrix import write_responses

    data = read_responses(path)
    out = folder / "shuffled.parquet"
    write_responses(Responses(data.subjects, data.items, rng.permuted(data.matrix, axis=0)), out)
    return out
