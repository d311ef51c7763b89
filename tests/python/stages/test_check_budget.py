"""What cannot be met is said before calibration."""

import pandas as pd
import pytest

from itemwise.tables.contract import write_table


@pytest.fixture
def check(itemwise, tmp_path):
    """Return a function that checks benchmarks `a` and `b` with items and budgets as given."""

    def run(a: tuple[list[int], int], b: tuple[list[int], int]):
        for name, (keep, _) in {"a": a, "b": b}.items():
            items = [f"{name}.{number}" for number in range(len(keep))]
            table = pd.DataFrame({"benchmark": name, "item": items, "keep": keep})
            write_table(table, tmp_path / f"{name}.parquet", "items")
        return itemwise(
            "check-budget", "--benchmarks", "a", "b", "--items", tmp_path / "a.parquet",
            tmp_path / "b.parquet", "--budgets", a[1], b[1], "--forms", 1, 2,
            "--record", tmp_path / "record.json",
        )  # fmt: skip

    return run


def test_a_budget_beyond_the_items_is_refused(check):
    assert check(([1, 1, 1], 3), ([1, 1], 1)).status == 0
    finished = check(([1, 1, 0], 3), ([1, 1], 1))
    assert finished.status == 2
    assert "benchmark 'a' has 3 items, of which 2 passed the screen" in finished.err


def test_parallel_forms_share_the_items(check):
    finished = check(([1, 1], 2), ([1, 1, 1], 2))
    assert finished.status == 2
    assert "benchmark 'b' has 3 items, of which 3 passed the screen" in finished.err
    assert "2 forms of 2 items of 3 in the pool" in finished.err
