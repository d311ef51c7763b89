"""Proofs of adaptive testing: beside catR, on real rows, and live on tiny transformers."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import EVIDENCE, data_folder, markdown, write_evidence
from evaluation import itemwise, local_metabench
from pipeline import BENCHMARKS, calibrated, options

from itemwise.adaptive.rules import LIVE_RULE
from itemwise.adaptive.study import items_to_reach
from itemwise.bank.folder import read_bank
from itemwise.irt.model import item_information
from itemwise.paths import ROOT
from itemwise.report.figures import adaptive as study_figure
from itemwise.responses.matrix import read_responses, write_responses
from itemwise.responses.sets import HeldOut, read_training, write_test, write_training
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record
from itemwise.workflow.schema import section_rules

RULES = tuple(section_rules("cat", ["rules"])["rules"]["default"])
"""Rules that a run simulates where the configuration names none."""
SUBJECTS = 100
"""Random complete rows on which both engines are timed."""
POINTS = 1.5
KILLS = 20
MODELS = 30
SHOWN = (10, 20, 40, 80)
CANDIDATES = (
    "adaptive:",
    "MPLI:criterion=MPLI",
    "MFI:criterion=MFI",
    "KL:criterion=KL",
    "KLP:criterion=KLP",
    "progressive:criterion=progressive",
    "MEPV-pool:items=pool",
    "MPLI-pool:criterion=MPLI,items=pool",
    "MFI-pool:criterion=MFI,items=pool",
    "batches-of-2:batch=2",
    "batches-of-4:batch=4",
    "batches-of-8:batch=8",
    "batches-of-16:batch=16",
    "MPLI-of-4:criterion=MPLI,batch=4",
    "MPLI-of-8:criterion=MPLI,batch=8",
    "MFI-of-8:criterion=MFI,batch=8",
    "MAP:estimator=MAP",
    "short-form:criterion=fixed",
)
"""Among these the default was chosen."""
BATCHES = ("batches-of-2:batch=2", "batches-of-4:batch=4", "batches-of-8:batch=8",
           "batches-of-16:batch=16")  # fmt: skip
RULE = "adaptive:min_length=8,batch=4,points=3,max_length=60"


def cat_engines() -> None:
    """Run the same rules natively and by catR on real GSM8K rows."""
    files = calibrated("organization", "gsm8k")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        responses = read_responses(files["responses"])
        complete = np.flatnonzero(responses.administered.all(axis=1))
        chosen = np.random.default_rng(1).choice(complete, SUBJECTS, replace=False)
        write_responses(responses.take(subjects=np.sort(chosen)), folder / "r.parquet")
        parameters = read_table(files["parameters"], "parameters").set_index("item", drop=False)
        for estimator in ("EAP", "MAP"):
            rule = (
                f"r:criterion=MFI,items=pool,estimator={estimator},max_length=50,limit=4,nodes=33"
            )
            seconds, tables = {}, {}
            for engine in ("native", "catR"):
                start = time.perf_counter()
                itemwise("simulate-cat", "--engine", engine, "--test", folder / "r.parquet",
                         *options(files, "parameters"), "--benchmark", "gsm8k", "--rules", rule,
                         "--out", folder / f"{engine}.parquet")  # fmt: skip
                seconds[engine] = time.perf_counter() - start
                tables[engine] = read_table(folder / f"{engine}.parquet", "cat_traces")
            native = native_seconds(responses.take(subjects=complete), files, rule)
            rows.append(
                {
                    "estimator": estimator,
                    "tests": SUBJECTS,
                    "items": 50,
                    **compared(tables, parameters),
                    "catR, ms a test": f"{1000 * seconds['catR'] / SUBJECTS:.1f}",
                    "native, ms a test": f"{1000 * native:.2f}",
                    "ratio": f"{seconds['catR'] / SUBJECTS / native:.0f}",
                }
            )
    text = (
        "The same rule on the same rows (MFI from theta = 0, 33 nodes on [-4, 4]). `same items`: "
        "tests with the same items in the same order; otherwise the paths parted where the two "
        "candidates' informations at the native estimate differ by at most the figure given. "
        "catR's time is that of its command over these tests (its start takes about a second); "
        f"the native time is that of all {len(complete)} complete rows at once, one thread, "
        "without start and reading.\n\n" + markdown(pd.DataFrame(rows))
    )
    write_evidence("cat_engines", "Native simulation beside catR", text, "make prove")


def native_seconds(responses, files: dict, rule: str) -> float:
    """Return the seconds of the native simulation for each test."""
    from itemwise.adaptive.rules import parse_rule
    from itemwise.adaptive.simulate import simulate

    parameters = read_table(files["parameters"], "parameters")
    start = time.perf_counter()
    simulate(responses, parameters, parse_rule(rule), "gsm8k")
    return (time.perf_counter() - start) / len(responses.subjects)


def compared(tables: dict[str, pd.DataFrame], parameters: pd.DataFrame) -> dict:
    """Compare traces up to where paths part."""
    same, gaps, theta, se = 0, [], 0.0, 0.0
    theirs = dict(iter(tables["catR"].groupby("subject")))
    for subject, mine in tables["native"].groupby("subject"):
        other = theirs[subject]
        equal = mine["item"].to_numpy() == other["item"].to_numpy()
        until = len(equal) if equal.all() else int(np.argmin(equal))
        same += bool(equal.all())
        part = slice(0, until)
        theta = max(theta, np.abs(mine["theta"].to_numpy() - other["theta"].to_numpy())[part].max())
        se = max(se, np.abs(mine["se"].to_numpy() - other["se"].to_numpy())[part].max())
        if until < len(equal):
            at = mine["theta"].to_numpy()[until - 1 : until]
            pair = parameters.loc[[mine["item"].iloc[until], other["item"].iloc[until]]]
            gaps.append(float(np.ptp(item_information(pair, at))))
    return {
        "same items": f"{same} of {len(theirs)}",
        "largest difference of theta": f"{theta:.1e}",
        "of its standard error": f"{se:.1e}",
        "information gap where paths part": f"{max(gaps):.1e}" if gaps else "-",
    }


def cat_study() -> None:
    """Choose the default rule on training models, then judge rules once on test models."""
    text = [
        "The default rule was chosen on *training* models (800 at random, not those whose tests "
        "correct the scores); the second table of each benchmark shows *test* models of unseen "
        "organizations (`tests/config/leaderboard.yaml`), which had no part in it. Scores and "
        "intervals are corrected by simulated tests of 1,500 training models. Criteria are named "
        "as in `itemwise simulate-cat`; items are those of the short form, or of the whole `pool`. "
        f"`live` stops by itself: `{LIVE_RULE}`; its figures are those of its tests when they "
        "ended. The whole benchmarks have 1,172 (ARC) and 1,319 items (GSM8K)."
    ]
    data_folder()
    targets = [
        f"results/leaderboard/{stage}/{b}.parquet"
        for stage in ("simulate_cat", "score_subjects")
        for b in BENCHMARKS
    ]
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--configfile",
         "tests/config/leaderboard.yaml", "--", *targets], cwd=ROOT, check=True,
    )  # fmt: skip
    for benchmark in BENCHMARKS:
        text.append(f"## {benchmark}")
        for chosen_set, rules in (("train", CANDIDATES), ("test", RULES + BATCHES)):
            table = simulated_study(benchmark, chosen_set, rules)
            rows = [study_row(rule, part) for rule, part in table.groupby("rule", sort=False)]
            text += [f"{chosen_set.capitalize()} models:", markdown(pd.DataFrame(rows))]
        figure = EVIDENCE / f"cat_study_{benchmark}.png"
        drawn = study_figure(table[table["rule"].isin([r.partition(":")[0] for r in RULES])])
        drawn.savefig(figure, dpi=130)
        plt.close(drawn)
        text.append(f"![{benchmark}]({figure.name})")
    write_evidence("cat_study", "Adaptive tests on real rows", "\n\n".join(text), "make prove")


def simulated_study(benchmark: str, chosen_set: str, rules: tuple[str, ...]) -> pd.DataFrame:
    """Return the study of rules on the models of a set."""
    run = ROOT / "results" / "leaderboard"
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "study.parquet"
        training = run / f"training/{benchmark}.parquet"
        test, abilities = run / f"test/{benchmark}.parquet", run / f"score_test/{benchmark}.parquet"
        if chosen_set == "train":
            abilities = run / f"score_subjects/{benchmark}.parquet"
            training, test = parted(training, Path(scratch))
        itemwise(
            "simulate-cat", "--training", training, "--test", test,
            "--parameters", run / f"fit_irt/{benchmark}.parquet", "--benchmark", benchmark,
            "--fold-parameters", run / f"fit_folds/{benchmark}.parquet",
            "--rules", *rules,
            "--selection", run / f"select_items/{benchmark}.parquet",
            "--selection-record", run / f"select_items/{benchmark}.json",
            "--terms", run / f"fit_readout/{benchmark}.terms.parquet",
            "--abilities", abilities,
            *(("--n-subjects", 800) if chosen_set == "train" else ()),
            "--out", Path(scratch) / "traces.parquet", "--out-study", out,
        )  # fmt: skip
        return read_table(out, "cat_study")


def parted(training: Path, folder: Path) -> tuple[Path, Path]:
    """Part training models: 1,500 correct scores, the others are tested. Return both files."""
    models = read_training(training).scored()
    first = np.random.default_rng(1).permutation(len(models.fold)) < 1500
    others = models.take(~first)
    sets = np.full(len(others.fold), "test", dtype=object)
    paths = folder / "training.parquet", folder / "test.parquet"
    write_training(models.take(first), paths[0])
    write_test(HeldOut(others.responses, others.full_score, sets), paths[1])
    return paths


def study_row(rule: str, part: pd.DataFrame) -> dict:
    """Return what the tables show of a rule."""
    at = part.set_index("n_items")
    row = {"rule": rule}
    row |= {f"RMSE, {n}": f"{at['rmse'][n]:.2f}" if n in at.index else "-" for n in SHOWN}
    for name in ("median_error", "p90_error"):
        few = items_to_reach(part, name, POINTS)
        row[f"items to {name.split('_')[0]} {POINTS}"] = few or f"not within {at.index[-1]}"
    last = at.iloc[-1]
    row["mean length"] = f"{last['mean_length']:.1f}"
    row["median error at the end"] = f"{last['median_error']:.2f}"
    row["coverage, 40"] = f"{at['coverage'].get(40, np.nan):.1%}"
    row["coverage at the end"] = f"{last['coverage']:.1%}"
    row["largest exposure"] = f"{last['exposure']:.0%}"
    row["overlap"] = f"{last['overlap']:.0%}"
    return row


def live() -> None:
    """Adapt to tiny transformers that know part of the answers, and kill some runs."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from tiny import teach

    bank = arc_bank()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks = local_metabench(folder / "tasks")
        common = ["--device", "cpu", "--include-path", tasks, "--batch-size", "16",
                  "--tasks", "metabench_arc", "metabench_arc_secondary"]  # fmt: skip
        itemwise("list-documents", *common[2:4], *common[6:], "--out", folder / "d.parquet")
        documents = read_table(folder / "d.parquet", "documents")
        for number in range(MODELS):
            model = folder / "lab" / f"m{number:02d}"
            teach(model, documents, share=number / (MODELS - 1), seed=number)
            itemwise("evaluate-model", "--lm", model, *common, "--ledger", folder / "full",
                     "--out", folder / "full.parquet")  # fmt: skip
            itemwise("score-model", "--bank", bank, "--results", folder / "full.parquet",
                     "--out", folder / "scores.parquet")  # fmt: skip
            whole = read_table(folder / "scores.parquet", "scores").iloc[0]
            itemwise("adapt-model", "--bank", bank, "--lm", model, *common, "--rule", RULE,
                     "--ledger", folder / "adaptive", "--out", folder / "live.parquet",
                     "--record", folder / "live.json", "--out-scores", folder / "s.parquet",
                     "--figure", EVIDENCE / "live_trace.png")  # fmt: skip
            itemwise("adapt-model", "--bank", bank, "--replay", folder / "full.parquet",
                     "--rule", RULE, "--out", folder / "replay.parquet")  # fmt: skip
            live_trace, replayed = (
                read_table(folder / f"{name}.parquet", "cat_traces").drop(columns="seconds")
                for name in ("live", "replay")
            )
            record = read_record(folder / "live.json")
            found = read_table(folder / "s.parquet", "scores").iloc[0]
            rows.append(
                {
                    "equal": live_trace.equals(replayed),
                    "asked": len(live_trace),
                    "full form": whole["predicted"],
                    "adaptive": found["predicted"],
                    "inside": found["lower"] <= whole["predicted"] <= found["upper"],
                    "own": (record["seconds"] - record["seconds_of_the_model"])
                    / max(record["batches"], 1),
                    "model": record["seconds_of_the_model"] / max(record["batches"], 1),
                }
            )
        killed = kill_runs(folder, bank, model, common)
    table = pd.DataFrame(rows)
    apart = (table["adaptive"] - table["full form"]).abs()
    text = (
        f"{MODELS} transformers of 2 layers, trained on the right answers to 0 to 100 % of the "
        "245 published ARC items, through the harness's own tasks; bank of ARC alone. Rule "
        f"`{RULE}`.\n\n"
        f"- Live run equal to the offline replay of the same model's full evaluation: "
        f"{table['equal'].sum()} of {MODELS}.\n"
        f"- Items asked: median {table['asked'].median():.0f} of 245 "
        f"({table['asked'].median() / 245:.0%}; {table['asked'].min()} to "
        f"{table['asked'].max()}).\n"
        f"- Scores by the complete short form from {table['full form'].min():.1f} to "
        f"{table['full form'].max():.1f} points; distance of the adaptive score: median "
        f"{apart.median():.2f}, 90th percentile {apart.quantile(0.9):.2f}; inside its interval "
        f"{table['inside'].sum()} of {MODELS}. Models that learnt some answers by heart and guess "
        "the others are not like those of the calibration.\n"
        f"- A batch of 4 items takes the model {1000 * table['model'].median():.0f} ms in the "
        f"median, all else {1000 * table['own'].median():.0f} ms.\n"
        f"- {killed}\n\n![A live trace](live_trace.png)"
    )
    write_evidence("live", "Live adaptive evaluation", text, "make prove")


def arc_bank() -> Path:
    """Distil ARC alone; return the bank."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        data = data_folder() / "leaderboard"
        config.write(
            f"run: arc-alone\nirt: {{reference: never}}\n"
            "split: {method: organization, test: 0.1}\nbenchmarks:\n  arc:\n"
            f"    sources: [{data}/arc_primary.responses.parquet, "
            f"{data}/arc_secondary.responses.parquet]\n"
            f"    full_scores: {data}/full-scores.parquet\n    selection: {{budget: 100}}\n"
        )
        config.flush()
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--configfile",
             config.name, "--", "results/arc-alone/bank"], cwd=ROOT, check=True,
        )  # fmt: skip
    read_bank(ROOT / "results/arc-alone/bank")
    return ROOT / "results/arc-alone/bank"


def kill_runs(folder: Path, bank: Path, model: Path, common: list) -> str:
    """Kill live runs at random times; return what came of it."""
    rng = random.Random(1)
    words = ["adapt-model", "--bank", bank, "--lm", model, *common,
             "--rule", "adaptive:max_length=60,batch=2"]  # fmt: skip
    start = time.perf_counter()
    itemwise(*words, "--ledger", folder / "w", "--out", folder / "whole.parquet")
    seconds = time.perf_counter() - start
    whole = read_table(folder / "whole.parquet", "cat_traces").drop(columns="seconds")
    kills = finished = equal = 0
    twice = []
    while kills < KILLS:
        ledger, out = folder / f"k{finished}", folder / "killed.parquet"
        command = [sys.executable, "-m", "itemwise", *map(str, words),
                   "--ledger", str(ledger), "--out", str(out)]  # fmt: skip
        while True:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                limit = None if kills == KILLS else seconds * rng.uniform(0.4, 1.0)
                process.wait(timeout=limit)
                break
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
        finished += 1
        equal += read_table(out, "cat_traces").drop(columns="seconds").equals(whole)
        twice.append(asked_twice(ledger))
        shutil.rmtree(ledger)
    return (
        f"{kills} kills (SIGKILL at random moments) over {finished} runs of {len(whole)} items: "
        f"finished traces equal to the undisturbed one {equal} of {finished}; items in a ledger "
        f"twice: {sum(twice)}."
    )


def asked_twice(ledger: Path) -> int:
    """Count the documents that a ledger holds more than once."""
    (path,) = ledger.glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    keys = [key for line in lines for key in line.get("answers", {})]
    return len(keys) - len(set(keys))
