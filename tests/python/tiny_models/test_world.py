"""The made-up world: what is asked is right, and is not what was trained on."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from itemwise.errors import UserError
from itemwise.tiny_models.world import (
    ENDINGS,
    LARGEST,
    NOUNS,
    NUMBERS,
    TOPICS,
    benchmark_items,
    training_text,
    vocabulary,
)


@cache
def text() -> list[str]:
    return training_text(8000, seed=1)


@cache
def items_of(topic: str) -> list:
    return benchmark_items(topic, 100, seed=1)


@pytest.mark.parametrize("topic", TOPICS)
def test_items_are_different_well_formed_and_known_words(topic):
    items = items_of(topic)
    assert len({item.question for item in items}) == 100
    known = set(vocabulary())
    for item in items:
        assert set(item.line.split()) <= known
        choices = {item.answer, *item.wrong}
        assert all(set(choice.split()) <= known for choice in choices)
        assert len(choices) == 1 + len(item.wrong)
    assert {len(item.wrong) for item in items} == (
        {0} if topic in ("arithmetic", "sorting") else {3}
    )


@pytest.mark.parametrize("topic", TOPICS)
def test_kinds_have_equal_parts_where_there_are_questions_enough(topic):
    kinds = [item.kind for item in benchmark_items(topic, 40, seed=1)]
    share = [kinds.count(kind) for kind in set(kinds)]
    assert len(share) > 1
    assert max(share) - min(share) <= 1


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "facts"])
def test_no_item_was_trained_on(topic):
    lines = set(text())
    asked = [item for item in items_of(topic) if item.line in lines]
    assert asked == []


def test_facts_are_trained_on_the_more_often_the_better_known():
    counts = {item.line: text().count(item.line) for item in items_of("facts")}
    assert max(counts.values()) > 50
    assert min(counts.values()) < 10
    assert sum(count > 0 for count in counts.values()) > 95


def test_answers_are_right():
    for item in items_of("arithmetic"):
        assert eval(item.question.removesuffix("=")) == int(item.answer)
        assert 0 <= int(item.answer) <= LARGEST
    for item in items_of("sorting"):
        shown = item.question.removeprefix("sort ").removesuffix(" :").split()
        assert item.answer.split() == sorted(shown, key=int)
    for item in items_of("grammar"):
        words = item.question.split()
        subject = next(word for word in words if word in NOUNS or word in NOUNS.values())
        number = 1 if subject in NOUNS else 2
        assert item.answer.endswith(ENDINGS[words[0], number])


def test_sequences_go_on_as_they_began():
    for item in items_of("sequences"):
        *shown, answer = item.question.removeprefix("next ").removesuffix(" :").split() + [
            item.answer
        ]
        if answer in NUMBERS:
            steps = set(np.diff([int(word) for word in (*shown, answer)]).tolist())
            assert steps == {int(item.kind.removeprefix("step "))}
        else:
            period = int(item.kind.removeprefix("repeat "))
            assert [*shown, answer][period:] == [*shown, answer][:-period]


def test_the_same_seed_makes_the_same_world_and_another_seed_another_text():
    assert training_text(50, seed=1) == text()[:50]
    assert training_text(50, seed=2) != text()[:50]
    assert benchmark_items("sorting", 5, seed=1) == benchmark_items("sorting", 5, seed=1)


def test_topics_can_be_left_out():
    text = training_text(200, seed=1, left_out=("sorting", "sequences"))
    assert not any(line.startswith(("sort", "next")) for line in text)
    assert any("=" in line for line in text)
    with pytest.raises(
        UserError, match="topic 'poetry' is not of this world; its topics are facts"
    ):
        training_text(10, 1, ("poetry",))
    with pytest.raises(UserError, match="every topic is left out"):
        training_text(10, 1, tuple(TOPICS))


def test_more_items_than_there_are_questions_are_refused():
    with pytest.raises(UserError, match=r"topic 'facts' has 144 questions.*'tiny_models.items'"):
        benchmark_items("facts", 145, seed=1)
