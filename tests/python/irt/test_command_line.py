"""The IRT stages as people run them."""

import numpy as np
import pandas as pd
import pytest

from itemwise.cli.main import main
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses, write_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    truth = draw_parameters(Design(300, 8, "2PL", "none", 0.0), rng)
    data = simulate_responses(truth, rng.standard_normal(300), 4)
    write_responses(data, tmp_path / "R.parquet")
    return tmp_path


def run(folder, stage, *options):
    return main([stage, "--responses", str(folder / "R.parquet"), *map(str, options)])


def test_csv_is_read_as_parquet_is(folder, itemwise):
    frame = pd.read_parquet(folder / "R.parquet")
    frame.replace({1: "TRUE", 0: "FALSE"}).to_csv(folder / "R.csv", sep=";", index=False)
    for suffix in ("csv", "parquet"):
        done = itemwise("fit-irt", "--responses", folder / f"R.{suffix}", "--out",
                        folder / f"from-{suffix}.parquet")  # fmt: skip
        assert done.status == 0, done.err
    tables = [read_table(folder / f"from-{s}.parquet", "parameters") for s in ("csv", "parquet")]
    pd.testing.assert_frame_equal(*tables)


def test_fit_and_score(folder):
    options = ["--model", "2PL", "--prior", "none", "--engine", "native"]
    items, fit = folder / "items.parquet", folder / "fit.json"
    assert run(folder, "fit-irt", *options, "--out", items, "--record", fit) == 0
    record = read_record(fit)
    assert record["converged"] is True
    assert {"log_likelihood", "max_gradient", "n_iterations", "seconds"} <= set(record)
    table = read_table(items, "parameters")
    assert table[["se_a", "se_d"]].notna().all(axis=None)
    out = folder / "abilities.parquet"
    for method in ("MAP", "EAP", "EAPsum", "ML"):
        status = run(
            folder, "score-subjects", "--parameters", items, "--method", method, "--out", out
        )
        assert status == 0
        assert set(read_table(out, "abilities")["method"]) == {method}


def test_an_unconverged_fit_writes_nothing(folder, capsys):
    out = folder / "items.parquet"
    short = ["--prior", "none", "--max-iterations", 1]
    assert run(folder, "fit-irt", *short, "--out", out) == 2
    assert "has not converged" in capsys.readouterr().err
    assert not out.exists()
    allowed = [*short, "--allow-unconverged", "--record", folder / "fit.json"]
    assert run(folder, "fit-irt", *allowed, "--out", out) == 0
    assert read_record(folder / "fit.json")["converged"] is False


def test_constant_items_are_dropped_with_a_notice_or_refused(folder, capsys):
    from itemwise.responses.matrix import read_responses

    data = read_responses(folder / "R.parquet")
    data.matrix[:, 2] = 0
    write_responses(Responses(data.subjects, data.items, data.matrix), folder / "R.parquet")
    assert run(folder, "fit-irt", "--prior", "none", "--out", folder / "items.parquet") == 0
    assert "dropped 1 constant items: item0003" in capsys.readouterr().err
    refuse = ["--constant-items", "refuse", "--out", folder / "other.parquet"]
    assert run(folder, "fit-irt", *refuse) == 2
    assert "item0003" in capsys.readouterr().err
