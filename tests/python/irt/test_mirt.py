"""The reference engine from Python, from the command line, and the engines' agreement."""

import numpy as np
import pytest
from classic import LSAT7, responses
from record_keys import check_record

from itemwise import irt
from itemwise.cli.main import main
from itemwise.irt.agreement import compare_engines
from itemwise.irt.mirt import LIBRARY
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.r.worker import RError, RWorker, r_has
from itemwise.responses.matrix import write_responses
from itemwise.tables.contract import read_table
from itemwise.tables.files import read_record

pytestmark = pytest.mark.skipif(not r_has("mirt"), reason="R package mirt is not installed")


@pytest.fixture(scope="module")
def data():
    design = Design(600, 12, "2PL", "none", 0.1)
    rng = np.random.default_rng(3)
    truth = draw_parameters(design, rng)
    return simulate_responses(truth, rng.standard_normal(600), 4, 0.1)


def test_native_never_lies_below_mirt_and_agrees_with_it(data):
    native, ours = irt.fit(data, "2PL", "none", quadrature=61, standard_errors=True)
    reference, theirs = irt.fit(data, "2PL", engine="mirt", quadrature=61, standard_errors=True)
    assert theirs["engine"] == "mirt"
    assert ours["log_likelihood"] >= theirs["log_likelihood"] - 0.01
    record = compare_engines(data, native, reference)
    check_record("compare_engines", record)
    # mirt stops when no parameter moves by 1e-4 a cycle, and EM crawls along steep items:
    # what is left is small beside the standard errors.
    for name in ("a", "d"):
        gap = (native[name] - reference[name]).abs() / native[f"se_{name}"]
        assert gap.max() < 0.1
        assert gap.median() < 0.005
    assert record["theta_largest_difference"] < 0.02
    # Oakes' identity and Louis' give the same matrix.
    assert record["se_difference_a"] < 0.05
    assert record["se_difference_d"] < 0.05


def test_both_engines_maximise_the_same_posterior(data):
    _, ours = irt.fit(data, "3PL", prior="weak", quadrature=61)
    _, theirs = irt.fit(data, "3PL", prior="weak", engine="mirt", quadrature=61)
    assert ours["log_posterior"] >= theirs["log_posterior"] - 0.01
    assert ours["log_posterior"] == pytest.approx(theirs["log_posterior"], abs=1)


def test_one_worker_serves_many_fits():
    from itemwise.irt.mirt import fit_mirt

    with RWorker(LIBRARY) as worker:
        for model in ("1PL", "2PL"):
            table, record = fit_mirt(
                responses(LSAT7), model, "none", 61, False, 500, 1, worker=worker
            )
            assert record["model"] == model
            assert len(table) == 5


def test_an_error_of_r_is_an_exception_with_rs_words(data):
    with RWorker(LIBRARY) as worker, pytest.raises(RError, match="model"):
        worker.call("fit_mirt", responses=data, model="9PL")


def test_a_fit_that_takes_too_long_is_stopped(data):
    with pytest.raises(RError, match=r"R gave no answer within 0\.01 seconds"):
        irt.fit(data, "2PL", engine="mirt", timeout=0.01)


def test_command_line_runs_the_r_stage(tmp_path, data):
    write_responses(data, tmp_path / "R.parquet")
    status = main(
        ["fit-irt", "--responses", str(tmp_path / "R.parquet"), "--model", "2PL"]
        + ["--engine", "mirt", "--no-standard-errors", "--out", str(tmp_path / "items.parquet")]
        + ["--record", str(tmp_path / "fit.json")]
    )
    assert status == 0
    assert len(read_table(tmp_path / "items.parquet", "parameters")) == 12
    record = read_record(tmp_path / "fit.json")
    assert record["engine"] == "mirt"
    assert {"log_likelihood", "converged", "max_gradient", "n_iterations", "seconds"} <= set(record)


def test_command_line_passes_the_exit_status_on(tmp_path, data):
    write_responses(data, tmp_path / "R.parquet")
    with pytest.raises(SystemExit) as ended:
        main(
            ["fit-irt", "--responses", str(tmp_path / "R.parquet"), "--engine", "mirt"]
            + ["--max-iterations", "1", "--out", str(tmp_path / "items.parquet")]
        )
    assert ended.value.code == 2
    assert not (tmp_path / "items.parquet").exists()


@pytest.mark.parametrize("method", ["MAP", "EAP", "ML"])
def test_scores_agree(data, method):
    parameters, _ = irt.fit(data, "2PL")
    ours = irt.score(data, parameters, method, quadrature=61)
    theirs = irt.score(data, parameters, method, engine="mirt")
    assert ours["theta"].isna().equals(theirs["theta"].isna())
    # mirt's optimiser stops at about 1e-4.
    np.testing.assert_allclose(ours["theta"], theirs["theta"], atol=0.002)
    np.testing.assert_allclose(ours["se"], theirs["se"], atol=0.002)


def test_mirt_gives_no_sum_scores_of_incomplete_subjects(data, caplog):
    parameters, _ = irt.fit(data, "2PL")
    table = irt.score(data, parameters, "EAPsum", engine="mirt")
    incomplete = ~data.administered.all(axis=1)
    assert table["theta"].isna().to_numpy().tolist() == incomplete.tolist()
    assert f"mirt gives none for the {incomplete.sum()} of 600 subjects" in caplog.text
    ours = irt.score(data, parameters, "EAPsum", quadrature=61)
    assert ours["theta"].notna().all()
    np.testing.assert_allclose(ours["theta"][~incomplete], table["theta"][~incomplete], atol=1e-6)
