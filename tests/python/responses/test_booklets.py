"""Groups of models that answered different items, and what ties them together."""

import numpy as np
import pytest

from itemwise.cli.main import main
from itemwise.irt import fit
from itemwise.irt.linking import link_by_items
from itemwise.responses.booklets import find_booklets, weak_ties
from itemwise.responses.matrix import Responses, write_responses
from itemwise.tables.files import read_record


def responses(administered: np.ndarray, seed: int = 1) -> Responses:
    """Return random responses to what was administered."""
    n_subjects, n_items = administered.shape
    answers = np.random.default_rng(seed).integers(0, 2, administered.shape)
    return Responses(
        np.array([f"s{i}" for i in range(n_subjects)], object),
        np.array([f"q{i}" for i in range(n_items)], object),
        np.where(administered, answers, -1).astype(np.int8),
    )


def blocks(*places: tuple[int, int, int, int], shape=(300, 60)) -> np.ndarray:
    """Return which cells lie in any of the blocks (first and last row, first and last column)."""
    cells = np.zeros(shape, dtype=bool)
    for top, bottom, left, right in places:
        cells[top:bottom, left:right] = True
    return cells


def ties(*places, **options) -> list[tuple]:
    """Return the weak ties of blocks: models, items, common items and models."""
    found = weak_ties(responses(blocks(*places, **options)))
    return [(tie.subjects, tie.items, tie.common_items, tie.common_subjects) for tie in found]


def test_booklets_with_few_items_in_common_are_told():
    assert ties((0, 150, 0, 32), (150, 300, 28, 60)) == [([150, 150], [32, 32], 4, 0)]
    assert ties((0, 150, 0, 30), (150, 300, 30, 60)) == [([150, 150], [30, 30], 0, 0)]
    # A fifth of the smaller booklet is enough, and so are 50 models of both.
    assert ties((0, 150, 0, 34), (150, 300, 28, 60)) == [([150, 150], [34, 32], 6, 0)]
    assert ties((0, 150, 0, 35), (150, 300, 28, 60)) == []
    assert ties((0, 175, 0, 30), (125, 300, 30, 60)) == []
    assert ties((0, 165, 0, 30), (135, 300, 30, 60))[0][2:] == (0, 30)


def test_a_third_booklet_may_tie_two():
    chain = [(0, 100, 0, 30), (100, 200, 20, 50), (200, 300, 40, 60)]
    assert ties(*chain) == []
    assert [tie[2] for tie in ties(chain[0], chain[2])] == [0]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.98])
def test_cells_missing_at_random_make_no_booklets(share):
    cells = np.random.default_rng(0).random((300, 60)) < share
    assert weak_ties(responses(cells)) == []


def test_a_short_form_within_the_long_one_is_tied():
    assert ties((0, 150, 0, 60), (150, 300, 0, 12)) == []


def test_missing_cells_within_booklets_hide_nothing():
    cells = blocks((0, 150, 0, 32), (150, 300, 28, 60))
    cells &= np.random.default_rng(0).random(cells.shape) < 0.9
    assert sorted(booklet.sum() for booklet in find_booklets(cells)) == [150, 150]
    assert len(weak_ties(responses(cells))) == 1


def test_fit_says_so_and_linking_is_the_remedy(tmp_path, caplog):
    """Two groups, half a standard deviation either side of 0, and a booklet each."""
    rng = np.random.default_rng(3)
    theta = np.r_[rng.normal(-0.75, 1, 500), rng.normal(0.75, 1, 500)]
    slope, intercept = rng.uniform(0.8, 1.8, 40), rng.normal(0, 1, 40)
    chance = 1 / (1 + np.exp(-(np.outer(theta, slope) + intercept)))
    cells = blocks((0, 500, 0, 22), (500, 1000, 18, 40), shape=(1000, 40))
    matrix = np.where(cells, rng.random(chance.shape) < chance, -1).astype(np.int8)
    data = responses(cells)
    data = Responses(data.subjects, data.items, matrix)
    write_responses(data, tmp_path / "r.parquet")
    words = ["fit-irt", "--responses", tmp_path / "r.parquet", "--no-standard-errors",
             "--out", tmp_path / "p.parquet", "--record", tmp_path / "f.json"]  # fmt: skip
    assert main([str(word) for word in words]) == 0
    assert (
        "500 models answered 22 items and 500 others 22, with 4 items in common and 0 models that "
        "answered both: the calibration takes all models for draws from one population"
    ) in caplog.text
    tie = {"subjects": [500, 500], "items": [22, 22], "common_items": 4, "common_subjects": 0}
    assert read_record(tmp_path / "f.json")["weak_ties"] == [tie]
    # The remedy tells the groups apart better than one population does.
    low = data.take(np.arange(500), np.arange(22))
    high = data.take(np.arange(500, 1000), np.arange(18, 40))
    first, second = (fit(part)[0] for part in (low, high))
    linked = link_by_items(first, second)
    assert linked.intercept == pytest.approx(1.5, abs=3 * linked.se_intercept)
