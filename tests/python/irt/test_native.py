"""The native engine against published estimates, known maxima and bad input."""

import numpy as np
import pandas as pd
import pytest
from classic import LSAT6, LSAT7, responses

from itemwise import irt
from itemwise.errors import UserError
from itemwise.irt import native
from itemwise.irt.heldout import held_out_log_scores, mask_cells
from itemwise.irt.likelihood import MarginalLikelihood
from itemwise.irt.model import to_beta
from itemwise.irt.prior import WEAK, Prior
from itemwise.irt.quadrature import normal_grid
from itemwise.irt.recovery import Design, draw_parameters
from itemwise.irt.simulation import simulate_responses
from itemwise.irt.starts import starting_values
from itemwise.responses.matrix import Responses, read_responses


def simulated(n_subjects=800, n_items=25, model="2PL", missing=0.0, seed=5):
    design = Design(n_subjects, n_items, model, "none", missing)
    rng = np.random.default_rng(seed)
    truth = draw_parameters(design, rng)
    theta = rng.standard_normal(n_subjects)
    return simulate_responses(truth, theta, seed + 1, missing), truth, theta


def test_lsat7_2pl_equals_the_estimates_printed_for_mirt():
    # Chalmers 2012, Journal of Statistical Software 48(6), section 4.1.
    table, record = irt.fit(responses(LSAT7), "2PL", "none", quadrature=61)
    np.testing.assert_allclose(table["a"], [0.988, 1.081, 1.706, 0.765, 0.736], atol=0.0015)
    np.testing.assert_allclose(table["d"], [1.856, 0.808, 1.804, 0.486, 1.855], atol=0.0015)
    assert record["log_likelihood"] == pytest.approx(-2658.805, abs=0.001)


def test_lsat6_equals_the_estimates_printed_for_ltm():
    # Rizopoulos 2006, Journal of Statistical Software 17(5), sections 4.1 and 4.2;
    # its Rasch model has one discrimination for all items, as ours.
    table, record = irt.fit(responses(LSAT6), "1PL", "none")
    np.testing.assert_allclose(table["a"], 0.755, atol=0.0005)
    difficulty = -table["d"] / table["a"]
    np.testing.assert_allclose(difficulty, [-3.615, -1.322, -0.318, -1.730, -2.780], atol=0.002)
    assert record["log_likelihood"] == pytest.approx(-2466.938, abs=0.001)

    table, record = irt.fit(responses(LSAT6), "2PL", "none")
    np.testing.assert_allclose(table["a"], [0.825, 0.723, 0.891, 0.689, 0.657], atol=0.001)
    difficulty = -table["d"] / table["a"]
    np.testing.assert_allclose(difficulty, [-3.360, -1.370, -0.280, -1.866, -3.124], atol=0.003)
    assert record["log_likelihood"] == pytest.approx(-2466.653, abs=0.001)


# What a converged fit must reach; the published fits lie 0 to 6,400 nats below.
GOALS = {
    "arc_secondary": ("2PL", -120_002.0),
    "gsm8k_primary": ("2PL", -382_224.5),
    "gsm8k_secondary": ("2PL", -409_854.2),
    "arc_primary": ("4PL", -183_460.0),
}


@pytest.mark.parametrize("name", GOALS)
def test_unpenalised_fits_of_real_matrices_reach_the_maximum(name, real_data):
    model, goal = GOALS[name]
    data = read_responses(real_data / f"leaderboard/{name}.responses.parquet")
    _, record = irt.fit(data, model, prior="none", quadrature=61)
    assert record["converged"]
    assert record["log_likelihood"] >= goal


def test_automatic_quadrature_is_fine_enough():
    data, _, _ = simulated(n_subjects=300, n_items=200)
    _, coarse = irt.fit(data, "2PL", quadrature=21)
    _, automatic = irt.fit(data, "2PL")
    assert abs(automatic["log_likelihood"] - automatic["log_likelihood_fine"]) < 0.1
    # The check can fail: 21 points on a test of 200 items are far too few.
    assert abs(coarse["log_likelihood"] - coarse["log_likelihood_fine"]) > 1


@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL", "4PL"])
def test_no_direction_leads_up_from_the_solution(model):
    data, _, _ = simulated(model=model, missing=0.1)
    table, record = irt.fit(data, model, prior="weak", quadrature=61)
    assert record["converged"]
    rng = np.random.default_rng(1)
    best = record["log_posterior"]
    for _ in range(20):
        moved = table.copy()
        if model == "1PL":
            moved["a"] += rng.normal(scale=0.02)
        else:
            moved["a"] += rng.normal(scale=0.02, size=len(table))
        moved["d"] += rng.normal(scale=0.02, size=len(table))
        assert posterior_of(data, moved, model) < best


def posterior_of(data, table, model):
    beta = to_beta(table, model)
    likelihood = MarginalLikelihood(data.matrix, model, normal_grid(61))
    return likelihood.log_likelihood(beta) + Prior(WEAK, model, len(table)).log_density(beta)


def test_recovers_the_truth_with_missing_cells():
    data, truth, _ = simulated(n_subjects=4000, n_items=40, missing=0.3)
    table, _ = irt.fit(data, "2PL")
    # Standard errors are about 0.07 (a) and 0.06 (d) here.
    assert np.sqrt(((table["a"] - truth["a"]) ** 2).mean()) < 0.1
    assert np.sqrt(((table["d"] - truth["d"]) ** 2).mean()) < 0.1


def test_keeps_negative_slopes():
    data, _, _ = simulated()
    flipped = Responses(data.subjects, data.items, data.matrix.copy())
    flipped.matrix[:, 3] = 1 - flipped.matrix[:, 3]
    plain, _ = irt.fit(data, "2PL", "none")
    table, record = irt.fit(flipped, "2PL", "none")
    assert record["negative_slopes"] == [data.items[3]]
    assert irt.fit(flipped, "2PL")[1]["negative_slopes"] == [data.items[3]]
    assert table["a"][3] == pytest.approx(-plain["a"][3], abs=1e-3)


def test_thousands_of_items_reach_the_same_maximum_from_two_starts():
    # Posteriors are narrower than mirt's grid here, and plain EM sticks to its start.
    data, _, _ = simulated(n_subjects=400, n_items=2500)
    data, _, _ = native.check_varying(data, "drop")
    one = starting_values(data.matrix, "2PL")[0]
    two = np.column_stack([np.sign(one[:, 0]), np.zeros(len(one))])
    fits = []
    for start in (one, two):
        table, record = native.fit_native(data, "2PL", "none", None, False, 1, 500, starts=[start])
        assert record["converged"]
        abilities = irt.score(data, table)["theta"]
        assert abilities.std() == pytest.approx(1, abs=0.03)
        fits.append((record["log_likelihood"], table["a"]))
    assert fits[0][0] == pytest.approx(fits[1][0], abs=0.2)
    assert np.median(fits[0][1] / fits[1][1]) == pytest.approx(1, abs=0.005)


def test_an_unfinished_climb_is_not_called_converged():
    data, _, _ = simulated()
    _, record = irt.fit(data, "2PL", "none", max_iterations=1)
    assert not record["converged"]
    assert record["max_gradient"] > 0.01


def test_thread_count_does_not_change_the_fit():
    data, _, _ = simulated(n_subjects=5000, n_items=30, missing=0.02)
    one, first = irt.fit(data, "2PL", threads=1)
    two, second = irt.fit(data, "2PL", threads=2)
    pd.testing.assert_frame_equal(one, two)
    assert first["log_likelihood"] == second["log_likelihood"]


def test_constant_items_are_kept_dropped_or_refused():
    data, _, _ = simulated()
    data.matrix[:, 7] = 1
    table, record = irt.fit(data, "2PL", standard_errors=True)
    kept = table[table["item"] == data.items[7]].iloc[0]
    # Easier than every other item, with an error that says how little is known.
    assert record["constant_items_dropped"] == []
    assert kept["d"] == table["d"].max()
    assert kept["se_d"] > 2 * table["se_d"].median()
    table, record = irt.fit(data, "2PL", "none")
    assert record["constant_items_dropped"] == [data.items[7]]
    assert data.items[7] not in set(table["item"])
    with pytest.raises(
        UserError, match=r"1 items have only right.*item0008.*--constant-items drop"
    ):
        irt.fit(data, "2PL", constant_items="refuse")


def test_a_subject_without_responses_is_named():
    data, _, _ = simulated()
    data.matrix[4] = -1
    with pytest.raises(UserError, match="row 5: subject 'subject005' has no response"):
        irt.fit(data, "2PL")


def test_subjects_with_constant_items_only_are_left_out():
    data, _, _ = simulated(n_items=5)
    data.matrix[:, 0] = 1
    data.matrix[3, 1:] = -1
    _, record = irt.fit(data, "2PL", "none")
    assert record["silent_subjects_dropped"] == ["subject004"]
    assert record["n_subjects"] == 799


def test_nothing_to_calibrate_is_said():
    data, _, _ = simulated(n_items=3)
    data.matrix[:] = 1
    with pytest.raises(UserError, match="no item has both right and wrong answers"):
        irt.fit(data, "2PL")


def test_too_little_memory_is_said_before_it_starts(monkeypatch):
    class Little:
        available = 1000

    monkeypatch.setattr(native.psutil, "virtual_memory", lambda: Little)
    data, _, _ = simulated()
    with pytest.raises(UserError, match=r"800 subjects x 25 items need about .* GiB are free"):
        irt.fit(data, "2PL")


@pytest.mark.parametrize(
    ("option", "value"),
    [("model", "5PL"), ("prior", "strong"), ("engine", "girth"), ("constant_items", "hide")],
)
def test_wrong_options_name_the_choices(option, value):
    data, _, _ = simulated(n_subjects=50, n_items=5)
    with pytest.raises(UserError, match=f"{option}: '{value}' is not one of"):
        irt.fit(data, **{option: value})


def test_a_data_frame_is_enough():
    frame = pd.DataFrame(
        {"subject": ["a", "b", "c", "d"], "q1": [1, 0, 1, None], "q2": [0, 0, 1, 1]}
    )
    table, record = irt.fit(frame, "1PL", prior="weak")
    assert table["item"].tolist() == ["q1", "q2"]
    assert record["n_responses"] == 7


def test_weak_prior_predicts_held_out_cells_no_worse():
    data, _, _ = simulated(n_subjects=150, n_items=30, model="4PL")
    seen, hidden = mask_cells(data, 0.1, seed=2)
    scores = {p: held_out_log_scores(data, seen, hidden, "4PL", p) for p in ("none", "weak")}
    gaps = scores["weak"] - scores["none"]
    assert gaps.mean() > -2 * gaps.std() / np.sqrt(len(gaps))
