"""The search: nothing leaks between folds, and a killed search ends as an undisturbed one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from itemwise.cli.main import main
from itemwise.errors import UserError
from itemwise.irt.population import simulate_population
from itemwise.responses.sets import Training, write_training
from itemwise.selection import search
from itemwise.selection.search import (
    Candidate,
    Data,
    Space,
    inner_and_outer,
    inner_error,
    outer_error,
)
from itemwise.stages import search_selection
from itemwise.tables.contract import read_table
from itemwise.workflow.schema import section_rules

N_SUBJECTS, N_ITEMS = 180, 36


@pytest.fixture(scope="module")
def population():
    return simulate_population("q", 0, N_SUBJECTS, N_ITEMS, 0.0, 0.05, seed=1)


@pytest.fixture(scope="module")
def data(population):
    responses = population.responses
    right = np.where(responses.administered, responses.matrix, np.nan)
    return Data(responses, 100 * np.nanmean(right, axis=1), np.arange(N_SUBJECTS) % 6 + 1,
                np.zeros(N_ITEMS, int))  # fmt: skip


@pytest.fixture(scope="module")
def files(population, data, tmp_path_factory):
    """Write the tables that the stage reads, and return its options."""
    path = tmp_path_factory.mktemp("files") / "training.parquet"
    write_training(Training(population.responses, data.full_score, data.folds), path)
    return [
        *("--training", path, "--benchmark", "q"),
        *("--models", "1PL", "2PL", "--methods", "reconstruction", "anchors", "information"),
        *("--budget", 8, "--penalty", 0.2, "--trials", 8, "--inner-folds", 3),
    ]


@given(st.lists(st.integers(1, 7), min_size=30, max_size=60), st.integers(2, 4))
@settings(deadline=None, max_examples=30)
def test_folds_stay_whole_and_the_outer_one_outside(folds, inner):
    folds = np.array([*folds, *range(1, 8)])
    for held_out, parts in inner_and_outer(folds, inner, 2):
        assert set(parts[folds == held_out]) == {-1}
        assert set(parts[folds != held_out]) == set(range(inner))
        assert pd.DataFrame({"f": folds, "p": parts}).groupby("f")["p"].nunique().max() == 1


def test_too_few_folds_are_refused():
    with pytest.raises(UserError, match=r"split\.folds"):
        inner_and_outer(np.arange(30) % 5, 5, 1)


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("1PL", "MAP", "test-information", 8),
        Candidate("2PL", "EAP", "reconstruction", 8),
        Candidate("2PL", "EAP", "information", 8, 16, "subjects"),
    ],
)
def test_the_outer_fold_does_not_enter_inner_errors(candidate, data):
    ((_, parts),) = inner_and_outer(data.folds, 3, 1)
    before = inner_error(candidate, data, parts)
    outside = parts < 0
    rng = np.random.default_rng(1)
    matrix = data.responses.matrix.copy()
    matrix[outside] = rng.permuted(matrix[outside], axis=1)
    score = np.where(outside, 50.0, data.full_score)
    changed = Data(
        search.Responses(data.responses.subjects, data.responses.items, matrix),
        score, data.folds, data.domains,
    )  # fmt: skip
    assert inner_error(candidate, changed, parts) == before
    # Scores span 100 points; eight of 36 items must tell far more than the mean does.
    assert before < 0.6 * data.full_score.std()
    assert outer_error(candidate, data, parts) < 0.7 * data.full_score.std()


def test_proposals_learn_and_go_on_alike():
    """A made-up objective: 2PL by anchors is best; after the start the search dwells there."""
    space = Space(
        ("1PL", "2PL", "3PL"),
        ("MAP", "EAP"),
        tuple(section_rules("search")["methods"]["default"]),
        (4, 40),
    )
    past, seen = [], []
    for number in range(40):
        candidate, params, distributions = search.propose(space, past, number, 1)
        value = 3.0 - (candidate.model == "2PL") - (candidate.method == "anchors")
        past.append((params, distributions, value + abs(candidate.size - 20) / 20))
        seen.append(candidate)
    assert search.propose(space, past[:25], 25, 1)[0] == seen[25]
    found = sum(c.model == "2PL" and c.method == "anchors" for c in seen[-15:])
    assert found >= 5  # 1.25 at random


def interrupted(monkeypatch, after: int):
    """Let the objective die after some trials; return the list of candidates evaluated."""
    calls, real = [], search.inner_error

    def dying(candidate, data, parts):
        if len(calls) == after:
            raise KeyboardInterrupt
        calls.append(candidate)
        return real(candidate, data, parts)

    monkeypatch.setattr(search_selection, "inner_error", dying)
    return calls


def outputs(folder) -> list:
    """Return the options of what the stage writes."""
    options = ["--out-settings", folder / "won.yaml", "--record", folder / "search.json"]
    return [*options, "--out", folder / "trials.parquet"]


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """Return the folder of an undisturbed search."""
    folder = tmp_path_factory.mktemp("whole")
    assert main([str(word) for word in ("search-selection", *files, *outputs(folder))]) == 0
    return folder


def test_killed_search_ends_as_an_undisturbed_one(files, whole, itemwise, tmp_path, monkeypatch):
    journal = tmp_path / "journal.jsonl"
    done = interrupted(monkeypatch, after=3)
    options = [*files, *outputs(tmp_path), "--journal", journal]
    assert itemwise("search-selection", *options).status == 130
    assert not (tmp_path / "trials.parquet").exists()
    with open(journal, "a", encoding="utf-8") as file:
        file.write('{"trial": [1, 3, "Cand')  # what a kill in the middle of a line leaves
    monkeypatch.undo()
    again = interrupted(monkeypatch, after=100)
    assert itemwise("search-selection", *options).status == 0
    assert not set(again) & set(done)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "trials.parquet", "trials"),
        read_table(whole / "trials.parquet", "trials"),
    )
    for name in ("won.yaml", "search.json"):
        assert (tmp_path / name).read_text() == (whole / name).read_text()
    assert not journal.exists()


def test_journal_of_another_search_is_not_used(files, itemwise, tmp_path, monkeypatch):
    options = [*files, "--journal", tmp_path / "j", "--out", tmp_path / "t.parquet"]
    interrupted(monkeypatch, after=2)
    assert itemwise("search-selection", *options).status == 130
    monkeypatch.undo()
    calls = interrupted(monkeypatch, after=100)
    assert itemwise("search-selection", *options, "--seed", 2).status == 0
    assert len(calls) == read_table(tmp_path / "t.parquet", "trials")["value"].nunique()


def test_winner_is_a_configuration_and_has_the_smallest_objective(whole):
    trials = read_table(whole / "trials.parquet", "trials")
    assert trials["trial"].nunique() == 8
    best = trials[trials["value"] == trials["value"].min()].set_index("parameter")["setting"]
    won = yaml.safe_load((whole / "won.yaml").read_text())["benchmarks"]["q"]
    assert won["irt"]["model"] == best[["model"]].iloc[0]
    assert won["selection"]["budget"] == int(best[["size"]].iloc[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--budget", 37], "37 items of 36"),
        (["--inner-folds", 6], "6 folds cannot give 6 inner folds"),
        (["--balance", "topic", "--methods", "anchors"], "--balance needs --items"),
        (["--balance", "topic"], "leave 'information' out"),
    ],
)
def test_what_cannot_be_searched_is_refused(change, message, files, itemwise, tmp_path):
    done = itemwise("search-selection", *files, *change, "--out", tmp_path / "trials.parquet")
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "trials.parquet").exists()
