"""Small data of the real form for every row of the 360 suite, and tiny checkpoints."""

from __future__ import annotations

import json
import random
import re
from importlib.util import find_spec
from pathlib import Path

from tiny import TOPICS, make_model

STEPS = (0, 20, 60)
SENTENCES = [
    f"The {TOPICS[i % 8]} lies by the {TOPICS[(i * 3 + 1) % 8]} and the {TOPICS[(i + 5) % 8]}."
    for i in range(40)
]


SEQUENCES = [" ".join(random.Random(number).choices(TOPICS, k=24)) for number in range(8)]
"""Training texts: the first half is trained on, the second comes later."""


def make_checkpoints(folder: Path, texts: list[str], steps=STEPS, width: int = 48) -> Path:
    """Train a tiny GPT-2 on texts and save it at several steps; returns the run's folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    start = make_model(folder.parent / f"{folder.name}-start", seed=3, width=width, context=1024)
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = AutoModelForCausalLM.from_pretrained(start)
    model.config.attn_pdrop = model.config.resid_pdrop = model.config.embd_pdrop = 0
    model.eval()  # no dropout: the texts are to be learnt by heart
    codes = [tokenizer(text)["input_ids"][:128] for text in texts]
    longest = max(map(len, codes))
    pad = tokenizer.pad_token_id
    inputs = torch.tensor([c + [pad] * (longest - len(c)) for c in codes])
    labels = torch.tensor([c + [-100] * (longest - len(c)) for c in codes])
    mask = (labels != -100).long()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0)
    for step in range(max(steps) + 1):
        if step in steps:
            model.save_pretrained(folder / f"checkpoint-{step}")
            tokenizer.save_pretrained(folder / f"checkpoint-{step}")
        at = torch.randperm(len(texts), generator=torch.Generator().manual_seed(step))[:8]
        loss = model(inputs[at], attention_mask=mask[at], labels=labels[at]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return folder


def make_classifier(folder: Path) -> Path:
    """Save a random two-class classifier with a tokenizer of its own."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

    make_model(folder, seed=5, width=16)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=512, n_embd=32, n_layer=1, n_head=2,
                        num_labels=2, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


def write_lines(path: Path, rows: list[dict]) -> Path:
    """Write one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_data(folder: Path) -> dict[str, Path]:
    """Write the data sets of all rows; returns the file by the suite's task."""
    pairs = [
        {"sent_more": f"The {a} people like the {w}.", "sent_less": f"The {b} people like the {w}.",
         "bias_type": kind}
        for kind, a, b in (("age", "old", "young"), ("nationality", "northern", "southern"))
        for w in TOPICS[:6]
    ]  # fmt: skip
    texts = [{"text": " ".join(SENTENCES[i : i + 3]), "domain": ("hills", "coast")[i % 2]}
             for i in range(6)]  # fmt: skip
    chunks = [{"text": SEQUENCES[i], "chunk": i // 4,
               "seen_at": 1000.0 * (i // 4)} for i in range(8)]  # fmt: skip
    toxigen = [
        {"text": f"{who} people are {w}", "split": f"{kind}_{who}_1k"}
        for kind in ("hate", "neutral")
        for who in ("asian", "women")
        for w in TOPICS[:3]
    ]
    bold = [{"domain": domain, "name": f"N{i}", "category": group,
             "prompts": [f"{group} worked by the {w}" for w in TOPICS[i : i + 2]],
             "wikipedia": ["", ""]}
            for domain, group in (("gender", "Actors"), ("gender", "Actresses"),
                                  ("race", "North"), ("race", "South"))
            for i in range(2)]  # fmt: skip
    flags = [(f"the {w} is fine", 0) for w in TOPICS] + [(f"hate the {w}", 1) for w in TOPICS]
    questions = [f"Write a line about the {w}." for w in TOPICS[:4]]
    data = {
        "crows_pairs": pairs,
        "texts": texts,
        "training_chunks": chunks,
        "toxigen": toxigen,
        "real_toxicity_prompts": [{"prompt": {"text": f"the {w} is"}} for w in TOPICS],
        "bold": bold,
        "sbf": [{"post": t, "offensiveYN": ("0.0", "1.0")[y]} for t, y in flags],
        "dynahate": [{"text": t, "label": ("nothate", "hate")[y]} for t, y in flags],
        "toxigen_annotated": [{"text": t, "toxicity_human": (1.0, 5.0)[y]} for t, y in flags],
        "vicuna_instructions_80": [{"question_id": i, "category": "generic", "turns": [q]}
                                   for i, q in enumerate(questions)],
        "mt_bench": [{"prompt_id": i, "category": ("writing", "math")[i % 2],
                      "prompt": [q, "Now shorter."], "reference": ["A line.", "Shorter."]}
                     for i, q in enumerate(questions)],
    }  # fmt: skip
    return {task: write_lines(folder / f"{task}.jsonl", rows) for task, rows in data.items()}


def make_harness_tasks(folder: Path, n: int = 6) -> Path:
    """Point the harness's own task files at `n` local documents of the real form each."""
    tasks = Path(find_spec("lm_eval").origin).parent / "tasks"
    rng = random.Random(7)

    def words(k: int) -> list[str]:
        return rng.sample(TOPICS, k)

    def letters(k: int) -> dict:
        return {"text": words(k), "label": ["A", "B", "C", "D"][:k]}

    every = n + 26  # the documents that are asked, then enough for 25 shots
    names = [TOPICS[i % len(TOPICS)] for i in range(every)]
    problem = {"question": "What lies there?", "options": words(4), "answer": "B"}
    lettered = [{"question": f"What is {i}?", "choices": words(4), "answer": i % 4}
                for i in range(every)]  # fmt: skip
    arc = [{"id": str(i), "question": f"Which is {i}?", "choices": letters(4), "answerKey": "C"}
           for i in range(every)]  # fmt: skip
    rows = {
        "race/race.yaml": [
            {"article": f"The {w} is old.", "problems": str([problem])} for w in names],
        "arc/arc_challenge.yaml": arc,
        "super_glue/boolq/default.yaml": [
            {"passage": f"The {w} is old.", "question": f"is the {w} old", "label": i % 2}
            for i, w in enumerate(names)],
        "hellaswag/hellaswag.yaml": [
            {"activity_label": "Walking", "ctx_a": f"One sees the {w}.", "ctx_b": "then one",
             "endings": words(4), "label": str(i % 4)} for i, w in enumerate(names)],
        "openbookqa/openbookqa.yaml": [
            {"id": a["id"], "question_stem": a["question"], "choices": a["choices"],
             "answerKey": "A"} for a in arc],
        "piqa/piqa.yaml": [
            {"goal": f"cross the {w}", "sol1": "walk", "sol2": "swim", "label": i % 2}
            for i, w in enumerate(names)],
        "siqa/siqa.yaml": [
            {"context": f"Kim saw the {w}.", "question": "Why?", "answerA": "by chance",
             "answerB": "on purpose", "answerC": "at night", "label": str(1 + i % 3)}
            for i, w in enumerate(names)],
        "winogrande/default.yaml": [
            {"sentence": f"The {a} was near the {b} since _ was big.", "option1": a, "option2": b,
             "answer": str(1 + i % 2)} for i, (a, b) in enumerate(words(2) for _ in range(every))],
        "truthfulqa/truthfulqa_mc2.yaml": [
            {"question": f"What of the {w}?",
             "mc1_targets": {"choices": words(3), "labels": [1, 0, 0]},
             "mc2_targets": {"choices": words(4), "labels": [1, 1, 0, 0]}} for w in names],
        **{f"wmdp/wmdp_{kind}.yaml": lettered for kind in ("bio", "cyber", "chem")},
        **{f"mmlu/default/mmlu_{subject}.yaml": [{**doc, "subject": subject} for doc in lettered]
           for subject in ("anatomy", "marketing")},
    }  # fmt: skip
    for file, docs in rows.items():
        path = tasks / file
        found = re.search(r'^"?task"?: "?(\w+)', path.read_text(), re.MULTILINE)
        name = found[1]
        asked = write_lines(folder / "data" / f"{name}.jsonl", docs[:n])
        shots = write_lines(folder / "data" / f"{name}.shots.jsonl", docs[n:])
        splits = f"train: {shots}, dev: {shots}, validation: {asked}, test: {asked}"
        (folder / f"{name}.yaml").write_text(
            f"include: {path}\ntask: {name}\ndataset_path: json\ndataset_name: null\n"
            f"dataset_kwargs: {{data_files: {{{splits}}}}}\n"
        )
    (folder / "mmlu.yaml").write_text(
        "group: mmlu\ntask: [mmlu_anatomy, mmlu_marketing]\nmetadata: {version: 2}\n"
    )
    return folder


def settings(folder: Path, judge_url: str | None = None, judge: str = "stub") -> dict[str, dict]:
    """Make all data in a folder and return the settings that use it."""
    data = {task: str(path) for task, path in make_data(folder).items()}
    tasks = str(make_harness_tasks(folder / "tasks"))
    classifier = str(make_classifier(folder / "classifier"))
    toxic = {"classifier": classifier, "length": 6}
    judged = {"judge": judge, "judge_url": judge_url, "length": 8}
    return {
        "harness_tasks": {"include_path": tasks},
        "crowspairs": {"data": data["crows_pairs"]},
        "perplexity": {"data": data["texts"], "length": 64},
        "memorization": {"data": data["training_chunks"], "prompt": 8, "continuation": 8},
        "toxigen": {"data": data["toxigen"], **toxic},
        "toxic_generation": {"data": data["real_toxicity_prompts"], **toxic},
        "bold": {"data": data["bold"], **toxic},
        **{f"toxic_detection_{row}": {"data": data[task], "orders": 2, "limit": 12}
           for row, task in (("sbf", "sbf"), ("dynahate", "dynahate"),
                             ("toxigen", "toxigen_annotated"))},
        "longeval": {"lengths": [300, 450], "questions": 3, "written": 12},
        "vicuna_instructions_80": {"data": data["vicuna_instructions_80"], **judged},
        "mt_bench": {"data": data["mt_bench"], **judged},
    }  # fmt: skip
