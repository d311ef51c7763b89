"""A small made-up world to train tiny language models on: five topics, some 240 words.

Every topic is a function that draws one example: what stands before the answer, the
answer, and three wrong ones. Some questions are reserved: they make the benchmark and are
never trained on. Facts alone are asked as they were read, since knowing them is the point.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from itemwise.errors import UserError

LARGEST = 24
"""Numbers of the world are 0 to this one, each a word."""
RESERVED = 4
"""One question in so many is kept for the benchmark."""
END = "."
NUMBERS = [str(n) for n in range(LARGEST + 1)]
LETTERS = list("abcdefghijkl")
NAMES = [
    "".join(parts) for parts in itertools.product("bdfgklmnprst", ("alo", "eni", "iru", "oma"))
]
PLACES = ["arn", "besk", "corrow", "dunmere", "eld", "farholt", "grey", "hollin"]
BEASTS = ["otters", "goats", "crows", "bees", "hounds", "trout", "geese", "mules"]
TRADES = ["baker", "mason", "piper", "tanner", "weaver", "miller", "scribe", "cooper"]
RELATIONS = {"lives in": PLACES, "keeps": BEASTS, "is a": TRADES}
NOUNS = {"cat": "cats", "fox": "foxes", "boat": "boats", "tree": "trees", "child": "children",
         "stone": "stones", "bird": "birds", "king": "kings"}  # fmt: skip
ADJECTIVES = ["small", "old", "red", "quiet"]
LINKS = ["near", "behind", "above"]
STEMS = ["shim", "trel", "vond", "plar", "quen", "drob"]
ENDINGS = {("now", 1): "a", ("now", 2): "i", ("then", 1): "eda", ("then", 2): "edi"}
"""Ending of a verb by tense and number of its subject."""


@dataclass(frozen=True)
class Example:
    """A question, its answer and three wrong ones.

    Attributes
    ----------
    topic : str
    kind : str
        What makes it easy or hard, the sub-domain of the item.
    question : str
        What stands before the answer.
    answer : str
    wrong : tuple of str
        Empty where the answer is written, not chosen.
    """

    topic: str
    kind: str
    question: str
    answer: str
    wrong: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Return the example as a line of training text."""
        return f"{self.question} {self.answer} {END}"

    @property
    def reserved(self) -> bool:
        """Return whether the question is kept for the benchmark."""
        digest = hashlib.sha256(self.question.encode()).digest()
        return self.topic != "facts" and digest[0] % RESERVED == 0


def draw_fact(rng: np.random.Generator) -> Example:
    """Draw what is known of somebody: the fact of rank r with a frequency like 1 / (r + 3)."""
    odds = 1 / (np.arange(len(FACTS)) + 3)
    return FACTS[rng.choice(len(FACTS), p=odds / odds.sum())]


def _facts() -> list[Example]:
    """Return the facts of the world, the most often told first."""
    rng = np.random.default_rng(7)
    facts = []
    for name, (relation, values) in itertools.product(NAMES, RELATIONS.items()):
        answer, *wrong = rng.permutation(values)[:4].tolist()
        facts.append(Example("facts", relation, f"{name} {relation}", answer, tuple(wrong)))
    return [facts[place] for place in rng.permutation(len(facts))]


FACTS = _facts()


def draw_sentence(rng: np.random.Generator) -> Example:
    """Draw a sentence whose verb agrees with its first noun, however many stand between."""
    tense, number = ("now", "then")[rng.integers(2)], int(rng.integers(1, 3))
    between = int(rng.integers(3))
    words = [tense, *_noun_phrase(rng, number)]
    for _ in range(between):
        words += [LINKS[rng.integers(len(LINKS))], *_noun_phrase(rng, int(rng.integers(1, 3)))]
    stem = STEMS[rng.integers(len(STEMS))]
    answer = stem + ENDINGS[tense, number]
    wrong = tuple(stem + ending for ending in ENDINGS.values() if stem + ending != answer)
    return Example("grammar", f"{between} nouns between", " ".join(words), answer, wrong)


def _noun_phrase(rng: np.random.Generator, number: int) -> list[str]:
    """Draw a noun, half of the time with an adjective."""
    noun = list(NOUNS)[rng.integers(len(NOUNS))]
    described = [ADJECTIVES[rng.integers(len(ADJECTIVES))]] if rng.integers(2) else []
    return ["the", *described, noun if number == 1 else NOUNS[noun]]


def draw_sequence(rng: np.random.Generator) -> Example:
    """Draw a sequence to continue: letters that repeat, or numbers at equal steps."""
    if rng.integers(2):
        period = int(rng.integers(2, 5))
        letters = rng.permutation(LETTERS)[:period].tolist()
        length = period + int(rng.integers(1, period + 1))
        shown = [letters[i % period] for i in range(length)]
        answer, kind = letters[length % period], f"repeat {period}"
        others = [letter for letter in (*letters, *LETTERS) if letter != answer]
    else:
        step = (1, 2, 3, -1, -2)[rng.integers(5)]
        length = int(rng.integers(3, 5))
        first = int(rng.integers(max(0, -step * length), LARGEST - max(0, step * length) + 1))
        shown = [str(first + step * i) for i in range(length)]
        value = first + step * length
        answer, kind = str(value), f"step {step}"
        others = [str(n) for n in (value - step, *_near(rng, value)) if n != value]
    wrong = tuple(dict.fromkeys(others))[:3]
    return Example("sequences", kind, f"next {' '.join(shown)} :", answer, wrong)


def _near(rng: np.random.Generator, value: int) -> list[int]:
    """Return the numbers nearest to another, in random order among the six nearest."""
    others = sorted(set(range(LARGEST + 1)) - {value}, key=lambda n: abs(n - value))
    return rng.permutation(others[:6]).tolist()


def draw_sum(rng: np.random.Generator) -> Example:
    """Draw a sum or difference within the numbers of the world."""
    total = int(rng.integers(LARGEST + 1))
    part = int(rng.integers(total + 1))
    if rng.integers(2):
        return Example("arithmetic", "sum", f"{part} + {total - part} =", str(total))
    return Example("arithmetic", "difference", f"{total} - {part} =", str(total - part))


def draw_sorting(rng: np.random.Generator) -> Example:
    """Draw two to four different numbers to put in order."""
    length = int(rng.integers(2, 5))
    numbers = rng.permutation(LARGEST + 1)[:length]
    shown, ordered = (" ".join(map(str, part)) for part in (numbers, np.sort(numbers)))
    return Example("sorting", f"{length} numbers", f"sort {shown} :", ordered)


TOPICS: dict[str, Callable[[np.random.Generator], Example]] = {
    "facts": draw_fact,
    "grammar": draw_sentence,
    "sequences": draw_sequence,
    "arithmetic": draw_sum,
    "sorting": draw_sorting,
}


def vocabulary() -> list[str]:
    """Return every word of the world, always in the same order."""
    words = [END, *NUMBERS, *LETTERS, *NAMES, *(" ".join(RELATIONS).split())]
    words += [*PLACES, *BEASTS, *TRADES, *NOUNS, *NOUNS.values(), *ADJECTIVES, *LINKS]
    words += [stem + ending for stem in STEMS for ending in ENDINGS.values()]
    words += ["now", "then", "the", "next", "sort", ":", "+", "-", "="]
    return list(dict.fromkeys(words))


def training_text(n_lines: int, seed: int, left_out: tuple[str, ...] = ()) -> list[str]:
    """Return lines of training text, topics in turn; reserved questions are passed over.

    Parameters
    ----------
    n_lines : int
    seed : int
    left_out : tuple of str
        Topics that do not occur.

    Raises
    ------
    UserError
        An unknown topic is left out, or all are.
    """
    for topic in left_out:
        if topic not in TOPICS:
            raise UserError(
                f"topic '{topic}' is not of this world; its topics are {', '.join(TOPICS)}"
            )
    topics = [topic for topic in TOPICS if topic not in left_out]
    if not topics:
        raise UserError("every topic is left out; leave one in")
    rng = np.random.default_rng([seed, 1])
    lines: list[str] = []
    while len(lines) < n_lines:
        example = TOPICS[topics[len(lines) % len(topics)]](rng)
        if not example.reserved:
            lines.append(example.line)
    return lines


def benchmark_items(topic: str, n_items: int, seed: int) -> list[Example]:
    """Return different questions of a topic, its kinds in equal parts as far as they reach.

    Raises
    ------
    UserError
        The topic has fewer questions.
    """
    rng = np.random.default_rng([seed, 2, list(TOPICS).index(topic)])
    found: dict[str, dict[str, Example]] = {}
    # Ten thousand draws meet every question of the small topics many times over.
    drawn = (TOPICS[topic](rng) for _ in range(10_000))
    if topic == "facts":
        drawn = (FACTS[place] for place in rng.permutation(len(FACTS)))
    for example in drawn:
        if example.reserved or topic == "facts":
            found.setdefault(example.kind, {}).setdefault(example.question, example)
    turns = itertools.zip_longest(*(list(part.values()) for part in found.values()))
    items = [example for turn in turns for example in turn if example is not None]
    if len(items) < n_items:
        raise UserError(
            f"topic '{topic}' has {len(items)} questions for the benchmark, {n_items} are asked "
            "for; lower config key 'tiny_models.items'"
        )
    return items[:n_items]
