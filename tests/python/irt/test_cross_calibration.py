"""Calibrations without one fold each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from itemwise import irt
from itemwise.cli.main import main
from itemwise.errors import UserError
from itemwise.irt.cross_calibration import by_fold, calibrate_folds
from itemwise.irt.model import parameters_beta, probabilities
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.responses.matrix import Responses
from itemwise.responses.sets import Training, write_training
from itemwise.tables.contract import check_table, read_table, write_table
from itemwise.tables.files import write_record

N, ITEMS, FOLDS = 300, 20, 5


@pytest.fixture(scope="module")
def data() -> Responses:
    rng = np.random.default_rng(1)
    truth = draw_parameters(Design(N, ITEMS, "2PL", "none", 0.0), rng)
    return simulate_responses(truth, rng.standard_normal(N), 1, 0.1)


@pytest.fixture(scope="module")
def folds(data) -> pd.Series:
    # The last fold holds the ablest: without it the population has another mean.
    able = np.argsort(np.argsort((data.matrix == 1).mean(axis=1), kind="stable"))
    return pd.Series(np.where(able >= 240, FOLDS, able % (FOLDS - 1) + 1), data.subjects)


@pytest.fixture(scope="module")
def whole(data) -> pd.DataFrame:
    return irt.fit(data, "2PL", "none")[0]


@pytest.fixture(scope="module")
def calibrated(data, folds, whole) -> pd.DataFrame:
    return calibrate_folds(data, folds, whole, model="2PL", prior="none")[0]


def test_folds_lie_on_the_scale_of_all(data, folds, whole, calibrated):
    """Also that without the ablest, whose unlinked scale is off by 6 points and more."""
    check_table(calibrated, "fold_parameters", "folds")
    assert calibrated["fold"].unique().tolist() == [1, 2, 3, 4, 5]
    for _, part in calibrated.groupby("fold"):
        assert np.abs(curve(part) - curve(whole)).max() < 3
    unlinked, _ = irt.fit(data.take(subjects=(folds != FOLDS).to_numpy()), "2PL", "none")
    assert np.abs(curve(unlinked) - curve(whole)).max() > 6


def curve(parameters: pd.DataFrame) -> np.ndarray:
    """Expected percentage right from -2 to 2."""
    right, _ = probabilities(parameters_beta(parameters), np.linspace(-2, 2, 21))
    return 100 * right.mean(axis=0)


def test_a_fold_does_not_move_its_own_calibration(data, folds, whole, calibrated):
    flipped = data.matrix.copy()
    mine = (folds == 2).to_numpy()
    flipped[mine] = np.where(flipped[mine] < 0, flipped[mine], 1 - flipped[mine])
    changed = Responses(data.subjects, data.items, flipped)
    again, records = calibrate_folds(changed, folds, whole, model="2PL", prior="none")
    for fold in range(1, FOLDS + 1):
        one, two = (t[t["fold"] == fold].set_index("item")["d"] for t in (calibrated, again))
        assert one.equals(two) == (fold == 2)
    assert [record["fold"] for record in records] == [1, 2, 3, 4, 5]


def test_each_subject_meets_items_that_it_did_not_calibrate(data, folds, calibrated):
    seen = []
    for part, parameters in by_fold(data, folds, calibrated, "folds"):
        fold = folds.loc[part.subjects].unique()
        assert len(fold) == 1
        expected = calibrated[calibrated["fold"] == fold[0]].set_index("item").loc[part.items]
        np.testing.assert_array_equal(parameters["d"], expected["d"])
        seen += part.subjects.tolist()
    assert sorted(seen) == sorted(data.subjects)


def test_an_item_that_all_others_answered_alike_lacks_in_its_fold(data, folds, whole):
    matrix = data.matrix.copy()
    matrix[(folds != 1).to_numpy(), 0] = 1
    changed = Responses(data.subjects, data.items, matrix)
    table, _ = calibrate_folds(changed, folds, whole, model="2PL", prior="none")
    assert data.items[0] not in set(table.loc[table["fold"] == 1, "item"])
    part, parameters = next(by_fold(changed, folds, table, "folds"))
    assert part.items.tolist() == data.items[1:].tolist() == parameters["item"].tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda f: f.iloc[1:], "has no fold"),
        (lambda f: f * 0 + 1, "all in one fold"),
    ],
)
def test_folds_that_are_none_are_refused(data, folds, whole, changed, message):
    with pytest.raises(UserError, match=message):
        calibrate_folds(data, changed(folds), whole, model="2PL", prior="none")


def test_a_fold_without_calibration_is_refused(data, folds, calibrated):
    with pytest.raises(UserError, match="without fold 3; run fit-folds again"):
        list(by_fold(data, folds, calibrated[calibrated["fold"] != 3], "f.parquet"))


def test_the_commands_score_training_subjects_by_the_other_folds(
    data, folds, whole, calibrated, tmp_path
):
    names = ("training", "parameters", "folds", "plain", "crossed")
    paths = {name: str(tmp_path / f"{name}.parquet") for name in names}
    chosen = np.arange(N) % 4 != 0
    unknown = np.full(N, np.nan)
    training = Training(data, unknown, folds[data.subjects].to_numpy(int)).take(chosen)
    write_training(training, paths["training"])
    write_table(whole, paths["parameters"], "parameters")
    write_record(
        {"model": "2PL", "prior": "none", "quadrature": {"points": 61}}, tmp_path / "fit.json"
    )
    common = ["--training", paths["training"], "--parameters", paths["parameters"]]
    fit = ["--fit", str(tmp_path / "fit.json")]
    assert main(["fit-folds", *common, *fit, "--out", paths["folds"]]) == 0
    plainly = ["--responses", *common[1:]]
    assert main(["score-subjects", *plainly, "--out", paths["plain"]]) == 0
    crossing = ["--fold-parameters", paths["folds"]]
    assert main(["score-subjects", *common, *crossing, "--out", paths["crossed"]]) == 0
    plain, crossed = (
        read_table(paths[n], "abilities").set_index("subject").loc[data.subjects[chosen]]
        for n in ("plain", "crossed")
    )
    columns = ["theta", "se", "person_fit"]
    assert (plain[columns] != crossed[columns]).any(axis=1).all()
    table = read_table(paths["folds"], "fold_parameters")
    part, parameters = next(by_fold(training.responses, folds, table, "folds"))
    expected = irt.score(part, parameters)
    np.testing.assert_allclose(crossed.loc[part.subjects, "theta"], expected["theta"])


def test_folds_need_both_options(capsys, tmp_path):
    options = ["--parameters", "p", "--out", str(tmp_path / "o")]
    for given in (["--training", "t"], ["--responses", "r", "--fold-parameters", "f"]):
        assert main(["score-subjects", *options, *given]) == 2
        assert "--training and --fold-parameters: give both" in capsys.readouterr().err
