"""Instructions answered by the model and rated by a judge model.

Zheng et al. 2023 (MT-bench, arXiv 2306.05685); vicuna-instructions-80 has one turn, MT-bench
two. The rubric is our own (`judges`); what has not the form asked for is invalid.

- `score`: 1 to 10, mean over questions of the mean over the question's rated turns, SE over
  questions; by turn and by category;
- `invalid_rate` = share of verdicts that are invalid, Wilson; invalid verdicts enter nothing
  else;
- with `baseline`, answers of another model to the same questions: each last answer is compared
  in both orders; `win_rate` = (wins + ties / 2) / valid comparisons, Wilson, a comparison being
  two halves of a point that are won together or, in a tie, apart;
  `inconsistent_rate` = share of valid comparisons in which swapping changed the preference;
- `empty_rate` = share of answers without text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from itemwise.analyses import data as data_sets
from itemwise.analyses import judges
from itemwise.analyses.generation import Sampling, complete
from itemwise.analyses.intervals import mean, proportion, share
from itemwise.analyses.model import Loaded, Measured
from itemwise.errors import UserError

USER, ASSISTANT = "User:", "Assistant:"


@dataclass(frozen=True)
class Settings:
    """Settings of judged instructions.

    Attributes
    ----------
    judge : str, optional
        Folder or hub id of a judge model, or a server's name of it.
    judge_url : str, optional
        Address of an OpenAI-compatible server.
    judge_key_variable : str
        Environment variable with the server's key.
    judge_dtype : str
        Of a local judge.
    data : str, optional
        Local file: `category`, `turns` (or `prompt`), `question_id` (or `prompt_id`), and
        optionally `reference`, a list.
    baseline : str, optional
        Local file: `question_id` and `answers` (a list, one a turn) of another model.
    limit : int, optional
        Questions, drawn by `seed`.
    chat_template : bool
        Whether the model's chat template makes the prompts; else `User:` and `Assistant:`.
    length : int
        Tokens of an answer.
    temperature : float
    """

    judge: str | None = None
    judge_url: str | None = None
    judge_key_variable: str = "OPENAI_API_KEY"
    judge_dtype: str = "auto"
    data: str | None = None
    baseline: str | None = None
    limit: int | None = None
    seed: int = 42
    chat_template: bool = False
    length: int = 512
    temperature: float = 0.0


def check(settings: Settings) -> None:
    """Refuse to begin without a judge."""
    if not settings.judge:
        raise UserError(
            "judge: which model judges? set 'judge' to a folder or hub id, or with 'judge_url' to "
            "the name of a model behind an OpenAI-compatible server; or leave the analysis out"
        )


def load(row, settings: Settings, model: Loaded, folder: Path) -> pd.DataFrame:
    """Return questions: `question_id`, `category`, `turns`, `reference`, `baseline`."""
    if settings.data:
        frame = data_sets.read_file(settings.data, row.task)
    else:
        frame = data_sets.load(row.task)
    frame = frame.rename(columns={"prompt_id": "question_id", "prompt": "turns"})
    lacking = {"question_id", "category", "turns"} - set(frame)
    if lacking or frame.empty:
        raise UserError(
            f"{settings.data or row.task}: has no rows, or lacks the column {sorted(lacking)}; a "
            "question has 'question_id', 'category' and 'turns' (a list of texts)"
        )
    frame["question_id"] = frame["question_id"].astype(str)
    reference = frame["reference"] if "reference" in frame else [None] * len(frame)
    frame["reference"] = [_texts(value) for value in reference]
    frame["turns"] = frame["turns"].map(_texts)
    frame["baseline"] = [[] for _ in range(len(frame))]
    if settings.baseline:
        other = data_sets.read_file(settings.baseline, "baseline")
        known = dict(zip(other["question_id"].astype(str), other["answers"], strict=True))
        absent = [q for q in frame["question_id"] if q not in known]
        if absent:
            raise UserError(f"{settings.baseline}: has no answer to question {absent[0]}; add it")
        frame["baseline"] = [_texts(known[q]) for q in frame["question_id"]]
    columns = ["question_id", "category", "turns", "reference", "baseline"]
    return data_sets.draw(frame[columns], settings.limit, settings.seed)


def _texts(value) -> list[str]:
    """Return a list of texts from a list, an array, one text or nothing."""
    if isinstance(value, str):
        return [value]
    return [] if value is None or isinstance(value, float) else [str(v) for v in value]


def measure(model: Loaded, data: pd.DataFrame, settings: Settings, ask=None) -> Measured:
    """Answer every turn, have the answers rated, and return the scores.

    Parameters
    ----------
    model : Loaded
    data : data frame
        `question_id`, `category`, `turns`, `reference`, `baseline`.
    settings : Settings
    ask : callable, optional
        The judge; default: that of the settings.

    Returns
    -------
    Measured
        Group: empty, `turn <number>` or `category <name>`. Units: every answer with its score.
    """
    if ask is None:
        check(settings)
        ask = judges.make(settings.judge, settings.judge_url, settings.judge_key_variable,
                          str(model.network.device), settings.judge_dtype)  # fmt: skip
    answers = converse(model, data["turns"].tolist(), settings)
    asked = [
        (place, turn, judges.single_question(transcript(row.turns, answers[place], turn),
                                             "".join(row.reference[turn : turn + 1])))
        for place, row in enumerate(data.itertuples())
        for turn in range(len(row.turns))
    ]  # fmt: skip
    said = ask([question for _, _, question in asked])
    table = pd.DataFrame({
        "place": [place for place, _, _ in asked],
        "turn": [turn + 1 for _, turn, _ in asked],
        "score": pd.Series([judges.parse_score(text) for text in said], dtype=float),
        "verdict": said,
    })  # fmt: skip
    table["category"] = data["category"].to_numpy(object)[table["place"]]
    table["answer"] = [answers[place][turn] for place, turn, _ in asked]
    rows = score_rows(table, settings.seed)
    if any(data["baseline"]):
        rows += compare(data, answers, ask, settings.seed)
    units = pd.DataFrame({
        "unit": data["question_id"].to_numpy(object)[table["place"]], "sample": table["turn"],
        "group": table["category"], "metric": "score", "value": table["score"],
        "text": table["answer"],
    })  # fmt: skip
    verdicts = units.assign(metric="verdict", text=table["verdict"])
    invalid = int(table["score"].isna().sum())
    notes = [f"{invalid} of {len(table)} verdicts of the judge are invalid"] if invalid else []
    return Measured(rows, pd.concat([units, verdicts], ignore_index=True), notes)


def converse(model: Loaded, turns: list[list[str]], settings: Settings) -> list[list[str]]:
    """Return the model's answers, turn by turn, all questions at once."""
    answers: list[list[str]] = [[] for _ in turns]
    for number in range(max(map(len, turns))):
        places = [place for place, mine in enumerate(turns) if number < len(mine)]
        prompts = [prompt(model, turns[p], answers[p], settings.chat_template) for p in places]
        length = min(settings.length, model.context // 2)
        sampling = Sampling(settings.temperature, 1.0, settings.seed + number)
        made_of = complete(model, prompts, length, sampling, as_is=settings.chat_template)
        for place, made in zip(places, made_of, strict=True):
            answers[place].append(made[0].split(f"\n{USER}")[0].strip())
    return answers


def prompt(model: Loaded, turns: list[str], answers: list[str], chat_template: bool) -> str:
    """Return the conversation up to the next answer, as the model gets it."""
    said = [text for pair in zip(turns, answers, strict=False) for text in pair]
    said.append(turns[len(answers)])
    if chat_template:
        messages = [{"role": ("user", "assistant")[i % 2], "content": text}
                    for i, text in enumerate(said)]  # fmt: skip
        return model.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
    lines = [f"{(USER, ASSISTANT)[i % 2]} {text}" for i, text in enumerate(said)]
    return "\n".join([*lines, ASSISTANT])


def transcript(turns: list[str], answers: list[str], turn: int) -> str:
    """Return the conversation up to an answer, as the judge reads it."""
    return "\n".join(
        f"[User] {asked}\n[Assistant] {given or '(no answer)'}"
        for asked, given in zip(turns[: turn + 1], answers[: turn + 1], strict=True)
    )


def score_rows(table: pd.DataFrame, seed: int) -> list[dict]:
    """Return scores over questions, by turn and by category, and what was invalid."""
    valid = table.dropna(subset=["score"])
    groups = {"": valid}
    groups |= {f"turn {name}": part for name, part in valid.groupby("turn")}
    groups |= {f"category {name}": part for name, part in valid.groupby("category")}
    rows = [mean(part.groupby("place")["score"].mean()).row("score", name, seed)
            for name, part in groups.items()]  # fmt: skip
    empty = table["answer"].str.strip() == ""
    return [*rows,
            proportion(table["score"].isna().sum(), len(table)).row("invalid_rate", seed=seed),
            proportion(empty.sum(), len(table)).row("empty_rate", seed=seed)]  # fmt: skip


def compare(data: pd.DataFrame, answers: list[list[str]], ask, seed: int) -> list[dict]:
    """Compare with the baseline's last answers in both orders."""
    questions = []
    for place, row in enumerate(data.itertuples()):
        last = len(row.turns) - 1
        ours = transcript(row.turns, answers[place], last)
        theirs = transcript(row.turns, row.baseline, last)
        known = "".join(row.reference[last : last + 1])
        questions += [judges.pair_question(ours, theirs, known),
                      judges.pair_question(theirs, ours, known)]  # fmt: skip
    said = [judges.parse_verdict(text) for text in ask(questions)]
    pairs = list(zip(said[::2], said[1::2], strict=True))
    winners = [judges.combine(*pair) for pair in pairs]
    halves = {"first": (1, 1), "tie": (1, 0), "second": (0, 0)}
    won = np.array([halves[w] for w in winners if w]).reshape(-1, 2)
    changed = sum(a is not None and b is not None and a == b != "TIE" for a, b in pairs)
    return [
        replace(share(won), n=len(won)).row("win_rate", seed=seed),
        proportion(changed, len(won)).row("inconsistent_rate", seed=seed),
        proportion(winners.count(None), len(winners)).row("invalid_comparison_rate", seed=seed),
    ]
