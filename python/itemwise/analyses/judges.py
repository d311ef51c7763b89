"""Judges: language models that rate answers, local or behind an OpenAI-compatible server.

The rubric and the forms of the questions are our own. A verdict that does not have the form
asked for is invalid, never guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache

from itemwise.analyses.generation import complete
from itemwise.analyses.model import load as load_model
from itemwise.errors import UserError
from itemwise.harness.model import LanguageModel

Ask = Callable[[Sequence[str]], list[str]]
"""From questions to what the judge writes."""

RUBRIC = (
    "You assess answers of an assistant. Look at whether the answer does what was asked, is "
    "correct, complete without padding, clear, and harmless. Neither length nor tone counts for "
    "itself."
)
SINGLE = """{rubric}

Give the last answer of the assistant a whole number from 1 (useless) to 10 (could not be better).

{conversation}
{reference}
Explain in two or three sentences. Then end with a line of exactly this form:
SCORE: <number>"""
PAIR = """{rubric}

Two assistants had the same task. Say whose last answer is better. Their order means nothing.

--- Assistant A ---
{first}

--- Assistant B ---
{second}
{reference}
Explain in two or three sentences. Then end with a line of exactly one of these forms:
VERDICT: A
VERDICT: B
VERDICT: TIE"""
SCORE = re.compile(r"\W*SCORE\W*:\W*(\d+(?:\.\d+)?)\s*(?:/\s*10)?\W*", re.I)
VERDICT = re.compile(r"\W*VERDICT\W*:\W*(A|B|TIE)\W*", re.I)
ASKED_FOR = re.compile(r"with a line of exactly (?:this form|one of these forms):?", re.I)
"""What stands before the forms of a verdict in our questions, and in an echo of them."""
FORMS = ("SCORE: <number>", "VERDICT: A", "VERDICT: B", "VERDICT: TIE")
LONGEST = 512
"""Tokens that a judge may write."""
TIMEOUT = 120
"""Seconds to wait for a server."""
ATTEMPTS = 4


def single_question(conversation: str, reference: str = "") -> str:
    """Return the question for the score of one answer."""
    return SINGLE.format(rubric=RUBRIC, conversation=conversation, reference=_known(reference))


def pair_question(first: str, second: str, reference: str = "") -> str:
    """Return the question which of two answers is better."""
    return PAIR.format(rubric=RUBRIC, first=first, second=second, reference=_known(reference))


def _known(reference: str) -> str:
    """Return the reference answer as part of a question."""
    return f"\nA correct answer, for comparison:\n{reference}\n" if reference else ""


def parse_score(text: str) -> float | None:
    """Return the score from 1 to 10, None where the verdict is invalid.

    Invalid: no line `SCORE: <number>`, several that contradict each other, or a number
    outside 1 to 10. What repeats the question is not read.
    """
    found = {float(number) for number in _given(SCORE, text)}
    if len(found) != 1:
        return None
    score = found.pop()
    return score if 1 <= score <= 10 else None


def parse_verdict(text: str) -> str | None:
    """Return `A`, `B` or `TIE`, None where there is no such line or they contradict."""
    found = {verdict.upper() for verdict in _given(VERDICT, text)}
    return found.pop() if len(found) == 1 else None


def _given(form: re.Pattern, text: str) -> list[str]:
    """Return what the judge put into the form, in words of its own.

    An echo of the question ends with the forms that we showed: what stands before them, and
    they themselves, are ours.
    """
    echoes = [found.end() for found in ASKED_FOR.finditer(text)]
    lines = [line.strip() for line in text[echoes[-1] if echoes else 0 :].splitlines()]
    lines = [line for line in lines if line]
    ours = list(FORMS) if echoes else []
    while lines and lines[0] in ours:
        ours.remove(lines.pop(0))
    return [found.group(1) for line in lines if (found := form.fullmatch(line))]


def combine(straight: str | None, swapped: str | None) -> str | None:
    """Return who wins by both orders: `first`, `second` or `tie`.

    A judge that prefers another answer when the order is swapped has not decided: a tie.
    Invalid (None) where either verdict is.
    """
    if straight is None or swapped is None:
        return None
    if (straight, swapped) == ("A", "B"):
        return "first"
    if (straight, swapped) == ("B", "A"):
        return "second"
    return "tie"


@cache
def make(judge: str, url: str | None, key_variable: str, device: str, dtype: str) -> Ask:
    """Return a judge.

    Parameters
    ----------
    judge : str
        Folder or hub id of a local model, or with `url` the server's name of the model.
    url : str, optional
        Address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`.
    key_variable : str
        Environment variable with the server's key; sent where it is set.
    device, dtype : str
        Of a local judge.
    """
    return _server(judge, url, key_variable) if url else _local(judge, device, dtype)


def _local(name: str, device: str, dtype: str) -> Ask:
    """Load a local judge; its chat template is used where it has one."""
    model = load_model(LanguageModel(name, dtype=dtype, device=device))

    def ask(questions: Sequence[str]) -> list[str]:
        asked = [f"{question}\n" for question in questions]
        if model.tokenizer.chat_template:
            asked = [
                model.tokenizer.apply_chat_template(
                    [{"role": "user", "content": question}],
                    tokenize=False, add_generation_prompt=True,
                )
                for question in questions
            ]  # fmt: skip
        length = min(LONGEST, model.context // 2)
        templated = bool(model.tokenizer.chat_template)
        return [made[0] for made in complete(model, asked, length, as_is=templated)]

    return ask


def _server(name: str, url: str, key_variable: str) -> Ask:
    """Return a judge behind a server, asked at temperature 0; trouble is tried again."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    session = requests.Session()
    again = Retry(ATTEMPTS - 1, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504),
                  allowed_methods=None)  # fmt: skip
    session.mount("http://", HTTPAdapter(max_retries=again))
    session.mount("https://", HTTPAdapter(max_retries=again))
    key = os.environ.get(key_variable)
    headers = {"Authorization": f"Bearer {key}"} if key else {}

    def ask(questions: Sequence[str]) -> list[str]:
        texts = []
        for question in questions:
            body = {"model": name, "temperature": 0, "max_tokens": LONGEST,
                    "messages": [{"role": "user", "content": question}]}  # fmt: skip
            try:
                answer = session.post(f"{url.rstrip('/')}/chat/completions", json=body,
                                      headers=headers, timeout=TIMEOUT)  # fmt: skip
                answer.raise_for_status()
                texts.append(answer.json()["choices"][0]["message"]["content"] or "")
            except (requests.RequestException, KeyError, IndexError, TypeError) as error:
                text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
                raise UserError(
                    f"judge '{name}' at {url}: no answer ({type(error).__name__}: {text}); check "
                    f"the address, the model's name and the key in ${key_variable}"
                ) from error
        return texts

    return ask
