"""Made-up leaderboards in every layout and with every trap, and what is true of them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import Change, Repository

from itemwise.collect.leaderboard import LEADERBOARDS, Benchmark

V1 = "open-llm-leaderboard-old"
V2 = "open-llm-leaderboard"
ROWS = {"arc": 40, "hellaswag": 30, "mmlu": 3, "truthfulqa": 20, "winogrande": 24, "gsm8k": 25}
EARLY, LATE = "2023-07-19T16:22:03.123456", "2023-10-04T09-53-02.418861"
LATER = "2024-01-05T01-02-03.000001"
V2_TIME, V2_LATER = "2024-07-19T16-22-03.123456", "2024-11-19T16-22-03.5"
KINDS = (
    "plain", "limit_newest", "two_runs", "other_shots", "one_subject", "old_mmlu_newest",
    "shuffled", "nan_mc2", "no_results", "fat", "plain", "squashed",
)  # fmt: skip
"""What models are like that have all their results."""
BROKEN = {
    "gated": {"*": "gated"}, "missing": {"*": "missing"}, "only_limit": {"arc": "incomplete"},
    "nan_metric": {"arc": "incomplete"}, "mismatch": {"arc": "acc_mismatch"},
    "no_metric": {"hellaswag": "bad_schema"}, "foreign_item": {"gsm8k": "bad_schema"},
    "only_old_mmlu": {"mmlu": "incomplete"}, "no_parquet": {"winogrande": "bad_schema"},
}  # fmt: skip
"""What models are like that lack something: the state that their benchmarks end in."""


@dataclass
class World:
    """A leaderboard: what the hub holds, and what is true.

    Attributes
    ----------
    repositories : dict of Repository
    truth : dict
        Responses of each (subject, benchmark) whose state is ok, by (task, text, number).
    states : dict
        State of each (subject, benchmark).
    copies : list of sets
        Models that are nearly the same.
    changes : dict of Change
        Repositories that change while they are read.
    """

    benchmarks: list[str]
    repositories: dict = field(default_factory=dict)
    truth: dict = field(default_factory=dict)
    states: dict = field(default_factory=dict)
    copies: list = field(default_factory=list)
    changes: dict = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        return sorted({subject for subject, _ in self.states})


def texts_of(benchmark: Benchmark, task: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the items of a task; the last of HellaSwag has the content of the first."""
    rows = ROWS[benchmark.name]
    open_answer = benchmark.name == "gsm8k"
    items = [
        (f"What is {task} number {n}?", () if open_answer else (f"one {n}", f"two {n}", "three"))
        for n in range(rows)
    ]
    if benchmark.name == "hellaswag":
        items[-1] = items[0]
    return items


def golds_of(benchmark: Benchmark, items) -> list[int]:
    """Return the right choices; of equal items the second has another one."""
    golds = [n % 2 for n in range(len(items))]
    if benchmark.name == "hellaswag":
        golds[-1] = 1
    return golds


def parquet_of(benchmark, task, responses, layout, order, *, fat=False, mc2=None, drop=None):
    """Return a details file: the rows that were evaluated, in their order."""
    items = texts_of(benchmark, task)
    golds = golds_of(benchmark, items)
    n = len(responses)
    order = [k for k in order if k < n]
    other = np.round(np.linspace(0.1, 0.9, n), 4) if mc2 is None else np.full(n, mc2)
    metrics = {"acc": 1.0 - responses, "acc_norm": 1.0 - responses, "mc2": other}
    metrics[benchmark.metric] = responses.astype(float)
    metrics = {name: [float(v[k]) for k in order] for name, v in metrics.items() if name != drop}
    texts = [items[k][0] for k in order]
    choices = [[f" {c}" for c in items[k][1]] for k in order]
    columns: dict = {}
    if layout == "A":
        columns |= metrics
        columns["query"] = [f"Question: {text}\nAnswer:" for text in texts]
        columns["example"] = [f"Mercury_{k}" for k in order]
        columns["gold"] = [golds[k] for k in order]
        columns["hashes"] = [{"example": f"{k:016x}"} for k in order]
    else:
        columns["example"] = texts
        if choices[0]:
            columns["gold"] = [[items[k][1][golds[k]]] for k in order]
            columns["gold_index"] = [[golds[k]] for k in order]
        if layout == "B":
            columns |= {f"metrics.{name}": values for name, values in metrics.items()}
        else:
            columns["metrics"] = [
                dict(zip(metrics, row, strict=True)) for row in zip(*metrics.values(), strict=True)
            ]
    columns["choices"] = choices
    if fat:  # between what is needed lies a column that nobody needs
        noise = np.random.default_rng(n).integers(0, 256, (n, 60_000), dtype=np.uint8)
        first = next(iter(columns))
        prompts = {"full_prompt": [row.tobytes() for row in noise]}
        columns = {first: columns.pop(first), **prompts, **columns}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def spelled(time: str, how: int) -> str:
    """Return the time of a run as files spell it."""
    day, _, clock = time.partition("T")
    clock = clock.replace(":", "-")
    return (
        f"{day}T{clock}",
        f"{day}T{clock.replace('-', ':')}",
        f"{day.replace('-', '_')}T{clock.replace('-', '_')}",
    )[how]


class RunWriter:
    """Writes one run of a model into a repository's files."""

    def __init__(self, files: dict, number: int, time: str):
        self.files, self.time = files, time
        self.how = number % 3
        self.results: dict = {
            "config_general": {"model_sha": f"{number:040x}", "model_dtype": "torch.float16"},
            "results": {}, "versions": {},
        }  # fmt: skip

    def add(self, benchmark, task, responses, layout, order, shots=None, **options):
        shots = benchmark.shots if shots is None else shots
        folder, name = spelled(self.time, (self.how + 1) % 3), spelled(self.time, self.how)
        path = f"{folder}/details_harness|{task}|{shots}_{name}.parquet"
        self.files[path] = parquet_of(benchmark, task, responses, layout, order, **options)
        key = f"harness|{task}|{shots}"
        mc2 = options.get("mc2", np.round(np.linspace(0.1, 0.9, len(responses)), 4).mean())
        scores = {"acc": 1 - responses.mean(), "acc_norm": 1 - responses.mean(), "mc2": mc2}
        scores[benchmark.metric] = responses.mean()
        self.results["results"][key] = {k: float(v) for k, v in scores.items()}
        self.results["versions"][key] = 1
        return path

    def close(self):
        body = json.dumps(self.results).encode()
        self.files[f"results_{spelled(self.time, (self.how + 2) % 3)}.json"] = body


def make_v1(
    n_models: int, with_mmlu: int = 10, mmlu_traps: int = 10**6, kinds=KINDS, broken=tuple(BROKEN)
) -> World:
    """Return a leaderboard v1 of so many models, every so many-th with MMLU.

    The traps of MMLU, 57 files each, are in the first `mmlu_traps` models alone.
    """
    rng = np.random.default_rng(5)
    known = LEADERBOARDS["v1"]
    world = World(list(known))
    all_kinds = [*broken, *kinds]
    responses_of: dict = {}
    last = ""
    for number in range(n_models):
        subject = "gpt2" if number == 0 else f"org{number % 17}/model-{number:04d}"
        kind = all_kinds[number % len(all_kinds)] if number else "plain"
        needs_mmlu = number < mmlu_traps and ("mmlu" in kind or kind == "one_subject")
        mmlu = number % with_mmlu == 0 or needs_mmlu
        theta = rng.normal()
        answers = {}
        for benchmark in known.values():
            for task in benchmark.tasks:
                easy = np.random.default_rng(len(task)).normal(size=ROWS[benchmark.name])
                p = 1 / (1 + np.exp(-(theta + easy)))
                answers[task] = (rng.random(len(p)) < p).astype(np.int8)
        if number and number % 40 == 5:  # a re-upload of the model before
            world.copies.append({subject, last})
            answers = responses_of
        world.repositories |= _model_v1(world, number, subject, kind, mmlu, answers)
        responses_of, last = answers, subject
    return world


def _model_v1(world, number, subject, kind, mmlu, answers) -> dict:
    """Return the repository of one model and note what is true of it."""
    known = LEADERBOARDS["v1"]
    layout = "ABC"[number % 3]
    files: dict = {"README.md": b"# made up"}
    rng = np.random.default_rng(number)
    main = RunWriter(files, number, LATE)
    late = RunWriter(files, number + 1, LATER)
    early = RunWriter(files, number + 2, EARLY)
    shown = BROKEN.get(kind, {})
    first_arc = ""
    for benchmark in known.values():
        name = benchmark.name
        state = shown.get("*") or shown.get(name, "ok")
        if name == "mmlu" and not mmlu:
            state = "incomplete" if "*" not in shown else state
        world.states[subject, name] = state
        if name == "mmlu" and not mmlu:
            continue
        for task in benchmark.tasks:
            right = answers[task]
            order = np.arange(len(right))
            if kind == "shuffled":
                rng.shuffle(order)
            options: dict = {"fat": kind == "fat" and name == "arc"}
            if kind in ("nan_mc2",) and name == "truthfulqa":
                options["mc2"] = float("nan")
            written = right
            if kind == "only_limit" and name == "arc":
                written = right[:10]
            if kind == "no_metric" and name == "hellaswag":
                options["drop"] = "acc_norm"
            if kind == "only_old_mmlu" and name == "mmlu":
                early.add(benchmark, task, right, layout, order)
                early.results["versions"][f"harness|{task}|5"] = 0
                continue
            path = main.add(benchmark, task, written, layout, order, **options)
            first_arc = path if name == "arc" else first_arc
            if kind == "nan_metric" and name == "arc":
                broken = right.astype(float)
                broken[3] = np.nan
                files[path] = parquet_of(benchmark, task, broken, layout, order)
            if kind == "mismatch" and name == "arc":
                main.results["results"][f"harness|{task}|25"]["acc_norm"] += 0.01
            if kind == "foreign_item" and name == "gsm8k":
                files[path] = _with_foreign_item(files[path], layout)
            if kind == "no_parquet" and name == "winogrande":
                files[path] = b"PAR1 this is none"
            if kind == "limit_newest" and name in ("arc", "gsm8k"):
                late.add(benchmark, task, 1 - right[:8], layout, order)
            if kind == "two_runs" and name == "arc":
                early.add(benchmark, task, 1 - right, layout, order)
            if kind == "other_shots" and name == "arc":
                late.add(benchmark, task, 1 - right, layout, order, shots=0)
            if kind == "one_subject" and task.endswith("anatomy"):
                late.add(benchmark, task, 1 - right, layout, order)
            if kind == "old_mmlu_newest" and name == "mmlu":
                late.add(benchmark, task, 1 - right, layout, order)
                late.results["versions"][f"harness|{task}|5"] = 0
            if state == "ok":
                _note(world, subject, benchmark, task, right)
    for writer in (main, late, early):
        if writer.results["results"] and kind != "no_results":
            writer.close()
    if number % 50 == 6:  # more files than the repository's information lists
        files |= {f"old/{n:04d}.txt": b"x" for n in range(1100)}
    if kind == "missing":
        return {}
    name = f"{V1}/details_{subject.replace('/', '__')}"
    repository = Repository(gated=kind == "gated")
    if kind == "squashed":
        # Until it has been read a little, a file of the repository holds other answers.
        before = dict(files)
        arc = known["arc"]
        before[first_arc] = parquet_of(
            arc,
            arc.tasks[0],
            1 - answers["arc:challenge"],
            layout,
            np.arange(ROWS["arc"]),
            fat=True,
        )
        results = next(p for p in files if p.startswith("results_"))
        wrong = json.loads(files[results])
        wrong["results"]["harness|arc:challenge|25"]["acc_norm"] = float(
            (1 - answers["arc:challenge"]).mean()
        )
        before[results] = json.dumps(wrong).encode()
        repository.commit(before)
        world.changes[name] = Change(first_arc, files)
    else:
        repository.commit(files)
    return {name: repository}


def _with_foreign_item(body: bytes, layout: str) -> bytes:
    """Return a file in which one item is another."""
    table = pq.read_table(io.BytesIO(body))
    name = "query" if layout == "A" else "example"
    texts = table[name].to_pylist()
    texts[2] = "Something that nobody else was asked?"
    file = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index(name), name, [texts]), file)
    return file.getvalue()


def _note(world, subject, benchmark, task, responses):
    """Note true responses by what identifies an item: task, text, number among equals."""
    items = texts_of(benchmark, task)
    golds = golds_of(benchmark, items)
    true = world.truth.setdefault((subject, benchmark.name), {})
    for row, (text, _) in enumerate(items):
        number = sum(items[k] == items[row] and golds[k] < golds[row] for k in range(len(items)))
        true[task, text, number] = int(responses[row])


def make_v2(n_models: int, benchmarks=("gpqa", "musr", "ifeval")) -> World:
    """Return a leaderboard v2: sample logs in the order of completion, two runs in some."""
    rng = np.random.default_rng(7)
    world = World(list(benchmarks))
    for number in range(n_models):
        subject = f"org{number % 5}/chat-{number:03d}"
        folder = subject.replace("/", "__")
        files: dict = {}
        for time in (V2_TIME, V2_LATER)[: 1 + (number % 3 == 1)]:
            cut = time == V2_LATER and number % 6 == 1  # the later run was cut by --limit
            results: dict = {"results": {}, "n-samples": {}, "config": {"model_dtype": "bfloat16"}}
            for name in benchmarks:
                benchmark = LEADERBOARDS["v2"][name]
                world.states[subject, name] = "ok"
                for task in benchmark.tasks:
                    right = rng.integers(0, 2, 24)
                    rows = 6 if cut else 24
                    order = [k for start in range(8) for k in range(start, 24, 8) if k < rows]
                    lines = [_sample(task, k, benchmark.metric, right[k]) for k in order]
                    files[f"{folder}/samples_{task}_{time}.jsonl"] = "".join(lines).encode()
                    value = right[:rows].mean()
                    results["results"][task] = {f"{benchmark.metric},none": float(value)}
                    results["n-samples"][task] = {"original": 24, "effective": rows}
                    if not cut:
                        true = world.truth.setdefault((subject, name), {})
                        true |= {(task, f"{task}: {k}?", 0): int(right[k]) for k in range(24)}
            files[f"{folder}/results_{time}.json"] = json.dumps(results).encode()
        files[f"{folder}/samples_leaderboard_gpqa_main_2024-06-01T00-00-00.0.json"] = b"[]"
        repository = Repository(gated=True)
        repository.commit(files)
        world.repositories[f"{V2}/{folder}-details"] = repository
    return world


def _sample(task: str, doc_id: int, metric: str, value: int) -> str:
    answer = bool(value) if metric.startswith("prompt_level") else float(value)
    doc = {"question": f"{task}: {doc_id}?", "choices": ["a", "b"]}
    sample = {
        "doc_id": doc_id, "doc": doc, "target": "a",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {task} {doc_id}", "arg_1": " a"}},
        "resps": [[["-1.0", "False"]]], metric: answer,
    }  # fmt: skip
    return json.dumps(sample) + "\n"


def differences(world: World, folder, benchmarks=None) -> list[str]:
    """Say where collected tables are not the truth: every state, every response."""
    found: list[str] = []
    table = pd.read_parquet(folder / "collection.parquet").set_index(["subject", "benchmark"])
    for key, state in world.states.items():
        if benchmarks is not None and key[1] not in benchmarks:
            continue
        got = table["state"].get(key)
        if got != state:
            found.append(f"{key}: {got}, truly {state} ({table['reason'].get(key)})")
    for benchmark in benchmarks or world.benchmarks:
        true = {s: r for (s, b), r in world.truth.items() if b == benchmark}
        shards = sorted((folder / benchmark).glob("*.parquet"))
        long = pd.concat([pd.read_parquet(path) for path in shards])
        items = pd.read_parquet(folder / f"{benchmark}.items.parquet").set_index("item")
        number = items.index.str.extract(r"-(\d+)$", expand=False).fillna("1").astype(int) - 1
        keys = dict(
            zip(items.index, zip(items["task"], items["text"], number, strict=True), strict=True)
        )
        got = {
            subject: dict(zip(part["item"].map(keys), part["response"], strict=True))
            for subject, part in long.groupby("subject")
        }
        if set(got) != set(true):
            found.append(f"{benchmark}: models {sorted(set(got) ^ set(true))[:5]}")
        found += [f"{s}, {benchmark}: responses differ" for s in true if got.get(s) != true[s]]
    return found
