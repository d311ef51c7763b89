"""The parts of the collector against known values."""

from __future__ import annotations

import numpy as np
import pytest

from itemwise.collect.duplicates import near_duplicates
from itemwise.collect.errors import SEVERITY, STATES, CollectError
from itemwise.collect.hub import HubFile
from itemwise.collect.items import (
    compare_with_reference,
    content_hash,
    normalise,
    number_duplicates,
    reference_set,
)
from itemwise.collect.leaderboard import LEADERBOARDS, MMLU_SUBJECTS
from itemwise.collect.limits import Limit, RateLimiter, pause_asked
from itemwise.collect.models import repository_of, subject_of
from itemwise.collect.plan import Plan
from itemwise.collect.runs import choose_run, run_key, runs_of
from itemwise.tables.contract import contract


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def limiter(requests, seconds):
    clock = Clock()
    return RateLimiter({"api": Limit(requests, seconds)}, clock, clock.sleep), clock


def test_own_log_never_exceeds_the_limit_in_any_window():
    limit, clock = limiter(5, 10.0)
    times = []
    for _ in range(23):
        limit.acquire("api")
        times.append(clock.now)
        clock.now += 0.1
        limit.observe("api", 200, {})
    assert all(later - earlier >= 10.0 for earlier, later in zip(times, times[5:], strict=False))
    assert times[-1] - times[0] < 4.5 * 10.2 + 5


def test_the_hubs_word_holds_before_the_configured_limit():
    limit, clock = limiter(1000, 300.0)
    limit.acquire("api")
    limit.observe("api", 200, {"RateLimit": '"api";r=2;t=30'})
    for left in (1, 0):
        limit.acquire("api")
        limit.observe("api", 200, {"RateLimit": f'"api";r={left};t=30'})
    before = clock.now
    limit.acquire("api")
    assert clock.now - before >= 30


def test_one_request_goes_alone_until_the_hub_has_spoken():
    limit, _ = limiter(1000, 300.0)
    limit.acquire("api")
    waits = []
    limit.sleep = lambda seconds: (waits.append(seconds), limit.abandon("api"))
    limit.acquire("api")
    assert waits


def test_pauses():
    assert pause_asked({"retry-after": "7"}) == 7
    date = {"date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert pause_asked({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", **date}) == 30
    assert pause_asked({"ratelimit": '"api";r=0;t=55'}) == 56
    assert pause_asked({"ratelimit": '"api";r=3;t=55'}) is None


@pytest.mark.parametrize(
    "text",
    ["2023-09-15T09:53:02.418861", "2023-09-15T09-53-02.418861", "2023_09_15T09_53_02.418861"],
)
def test_three_spellings_of_a_run_are_one(text):
    assert run_key(text) == "2023-09-15T09-53-02.418861"


def test_layouts_of_one_question_have_one_hash():
    plain = normalise("What is  it?", ["one", "two"])
    assert normalise("Question: What is it?\nAnswer:", [" one", " two"]) == plain
    assert normalise("What is it?\nA. one\nB. two\nAnswer:", ["A", "B"]) == plain
    assert normalise("What is it?\nA. one\nB. two\nAnswer:", ["one", "two"]) == plain
    assert content_hash("arc", "t", *plain) != content_hash("arc", "u", *plain)
    assert content_hash("arc", "t", plain[0], ("two", "one")) != content_hash("arc", "t", *plain)


def test_equal_items_are_numbered_by_their_gold_answer():
    assert number_duplicates(["b.x", "b.y", "b.x"], ["1", "0", "0"]) == ["b.x-2", "b.y", "b.x"]


def test_reference_is_the_majority_and_says_what_differs():
    most, other = frozenset("abc"), frozenset("abz")
    assert reference_set([other, most, most]) == most
    assert reference_set([other, most]) == reference_set([most, other])
    assert compare_with_reference(most, most) is None
    assert compare_with_reference(frozenset("ab"), most)[0] == "incomplete"
    state, reason = compare_with_reference(other, most)
    assert state == "bad_schema"
    assert "(z)" in reason
    assert "(c)" in reason


def details(time, task="arc:challenge", shots=25):
    return HubFile(f"{time}/details_harness|{task}|{shots}_{time}.parquet", 1, "0", None)


def test_run_with_most_rows_then_the_latest():
    arc = LEADERBOARDS["v1"]["arc"]
    times = [f"2023-0{k}-15T09-53-02.000000" for k in range(1, 5)]
    rows = dict(zip((details(t).path for t in times), (10, 1172, 1172, 8), strict=True))
    files = [*map(details, times), details("2023-09-15T09-53-02.0", shots=0)]
    choice = choose_run(runs_of(files, arc), arc, {}, lambda file: rows[file.path])
    assert choice.run.time == times[2]
    assert "latest of 2" in choice.why
    with pytest.raises(CollectError, match="no run of arc with 25 shots"):
        choose_run([], arc, {}, len)


def test_run_of_the_commit_that_is_asked_for():
    arc = LEADERBOARDS["v1"]["arc"]
    times = [f"2023-0{k}-15T09-53-02.000000" for k in (1, 2)]
    results = {t: {"config_general": {"model_sha": s}} for t, s in zip(times, "ab", strict=True)}
    runs = runs_of(map(details, times), arc)
    assert choose_run(runs, arc, results, lambda f: 1, revision="a").run.time == times[0]


def test_cohens_kappa_decides_who_is_a_copy():
    rng = np.random.default_rng(1)
    easy = (rng.random((3, 400)) < 0.97).astype(np.int8)  # agree by 94 % without being copies
    copy = easy[0].copy()
    copy[:1] ^= 1
    matrix = np.vstack([easy, copy])
    (group,) = near_duplicates([(["d", "b", "c", "a"], matrix)], 0.9)
    assert (group.name, group.subjects) == ("a", ("a", "d"))
    # By hand: p0 agreement 399/400, chance from both margins.
    p, q = easy[0].mean(), copy.mean()
    chance = p * q + (1 - p) * (1 - q)
    assert group.lowest_kappa == pytest.approx((399 / 400 - chance) / (1 - chance), abs=1e-12)
    assert near_duplicates([(["d", "a"], matrix[[0, 3], :40])], 0.5) == []


def test_names_of_repositories_and_models():
    for source, name in (("v1", "o/details_a__b"), ("v2", "o/a__b-details")):
        assert repository_of(source, "o", "a/b") == name
        assert subject_of(source, name) == "a/b"
    assert subject_of("v1", "o/details_gpt2") == "gpt2"
    assert subject_of("v1", "o/results") is None


def test_estimate_is_that_of_the_published_limits():
    plan = Plan(7000, 0, 0, 7000, 441_000, 0, 0.0, 1.0)
    assert plan.hours(500, 3000) == pytest.approx(7000 / 500 / 12 + 441_000 / 3000 / 12)
    assert plan.hours(500, 3000) == pytest.approx(13.4, abs=0.05)


def test_states_are_those_of_the_contract():
    assert contract()["manifest"].columns["state"].choices == STATES
    assert contract()["collection"].columns["state"].choices == STATES
    assert set(SEVERITY) == set(STATES)
    assert len(set(MMLU_SUBJECTS)) == 57
