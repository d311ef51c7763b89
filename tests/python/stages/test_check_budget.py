"""What cannot be met is said before calibration."""

import pandas as pd
import pytest

from itemwise.tables.contract import write_table


@pytest.fixture
def check(itemwise, tmp_path):
    """Return a function that checks benchmark `a` of a run of `a` and `b` with the items given."""

    def run(a: list[str], b: list[str], budget: int = 2):
        for name, items in {"a": a, "b": b}.items():
            table = pd.DataFrame({"benchmark": name, "item": items, "keep": 1})
            write_table(table, tmp_path / f"{name}.parquet", "items")
        return itemwise(
            "check-budget", "--benchmark", "a", "--items", tmp_path / "a.parquet",
            "--budget", budget, "--record", tmp_path / "record.json",
            "--all-items", tmp_path / "a.parquet", tmp_path / "b.parquet",
        )  # fmt: skip

    return run


def test_items_of_two_benchmarks_must_be_called_differently(check):
    assert check(["a.1", "a.2"], ["b.1", "b.2"]).status == 0
    finished = check(["1", "2", "3"], ["2", "3", "4"])
    assert finished.status == 2
    assert (
        "b.parquet: 2 items of benchmark 'b' are called as items of 'a': 2, 3; make item ids "
        "unique in the sources, such as 'a.2'"
    ) in finished.err


def test_a_budget_beyond_the_items_is_refused(check):
    finished = check(["1", "2"], ["3"], budget=3)
    assert finished.status == 2
    assert "benchmark 'a' has 2 items, of which 2 passed the screen" in finished.err
