"""Make up sample logs of lm-evaluation-harness, to try the tutorials without a GPU.

    python docs/examples/make_sample_logs.py tutorial/logs

writes `logs/<lab>__<model>/samples_capitals_<time>.jsonl`, one file a model, as
`lm-eval ... --log_samples --output_path logs` does. The models have abilities, the questions
have difficulties, and some questions tell models apart far better than others, as in real
benchmarks, so that there is something to find; nobody was asked.
With `--checkpoints` the logs are those of one training run whose ability grows.
"""

import argparse
import json
from pathlib import Path

import numpy as np

TASK, TIME = "capitals", "2026-02-01T09-30-00.25"


def main() -> None:
    """Draw responses from a two-parameter model and write them as logs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=int, default=160)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--checkpoints", action="store_true", help="one run, growing ability")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    items = np.random.default_rng(2026)  # the questions are the same in every call
    slope = np.exp(items.normal(0.1, 0.6, options.items))
    easiness = items.normal(0.3, 1.2, options.items)
    rng = np.random.default_rng(options.seed)
    for number in range(options.models):
        if options.checkpoints:
            theta = -2 + 3 * number / max(options.models - 1, 1)
            name = f"lab-new__run@step{1000 * (number + 1)}"
        else:
            theta = rng.normal()
            name = f"lab-{number % 32:02}__model-{options.seed}-{number:03}"
        right = rng.random(options.items) < 1 / (1 + np.exp(-(slope * theta + easiness)))
        write_log(options.folder / name, right.astype(int))


def write_log(folder: Path, right: np.ndarray) -> None:
    """Write one model's log, a line an item."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, response in enumerate(right.tolist()):
        doc = {"question": f"What is the capital of land {number}?", "choices": ["A", "B", "C"]}
        prompt = f"Question: {doc['question']}\nAnswer:"
        line = {
            "doc_id": number, "doc": doc, "target": "0", "filter": "none",
            "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": " A"}},
            "resps": [[["-1.0", "False"]]], "metrics": ["acc"], "acc": float(response),
        }  # fmt: skip
        lines.append(json.dumps(line))
    path = folder / f"samples_{TASK}_{TIME}.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
