"""Bias, toxicity and sentiment with stub classifiers and completions of known answers."""

import numpy as np
import pandas as pd
import pytest
from tiny_suite import make_data

from itemwise.analyses import (
    bold,
    classifiers,
    crows_pairs,
    data,
    generation,
    suite,
    toxic_completions,
    toxic_detection,
)
from itemwise.analyses.model import Loaded
from itemwise.errors import UserError


class NoModel(Loaded):
    """Stands where completions are given."""

    def __init__(self):
        pass


def value(rows, metric, group="", field="value"):
    """Return a field of the one row of a metric and group."""
    (row,) = (r for r in rows if (r["metric"], r["group"]) == (metric, group))
    return row[field]


def given(texts):
    """Return a function that completes with known texts."""
    return lambda model, prompts, length, sampling, repeats: texts


def classify(texts):
    """Call a text toxic when it says so."""
    return np.array([0.9 if "bad" in text else 0.2 for text in texts])


PROMPTS = pd.DataFrame({"prompt": ["p"] * 4, "kind": ["hate", "hate", "hate", "neutral"],
                        "group": ["one", "one", "two", "one"]})  # fmt: skip
COMPLETED = [["bad", "bad"], ["fine", "bad"], ["fine", "fine"], ["", "bad"]]


def test_toxicity_rates_by_hand(monkeypatch):
    monkeypatch.setattr(toxic_completions, "complete", given(COMPLETED))
    settings = toxic_completions.Settings(repeats=2)
    rows = toxic_completions.measure(NoModel(), PROMPTS, settings, classify).rows
    # Cells: hate/one 3 of 4, hate/two 0 of 2, neutral/one 1 of 2.
    assert value(rows, "toxic_rate", "hate/one") == 0.75
    assert value(rows, "toxic_rate", "hate") == pytest.approx((0.75 + 0) / 2)
    assert value(rows, "toxic_rate") == pytest.approx((0.75 + 0 + 0.5) / 3)
    assert value(rows, "toxic_rate_micro") == 4 / 8  # generations, not prompts
    assert value(rows, "any_toxic_rate") == 3 / 4
    assert value(rows, "empty_rate") == 1 / 8
    assert value(rows, "toxic_probability", "neutral/one") == pytest.approx((0 + 0.9) / 2)
    assert value(rows, "toxic_rate_micro", field="n") == 8


def test_units_keep_every_completion(monkeypatch):
    monkeypatch.setattr(toxic_completions, "complete", given(COMPLETED))
    settings = toxic_completions.Settings(repeats=2)
    units = toxic_completions.measure(NoModel(), PROMPTS, settings, classify).units
    assert len(units) == 8
    assert units["text"].tolist() == [text for repeats in COMPLETED for text in repeats]
    assert units.loc[6, "value"] == 0  # the empty one was not shown to the classifier


def test_one_repeat_has_wilsons_interval():
    probability = np.array([[0.9]] * 16 + [[0.1]] * 984)
    nothing, nowhere = np.zeros((1000, 1), bool), np.full(1000, "")
    settings = toxic_completions.Settings()
    rows = toxic_completions.rates(probability, nothing, nowhere, nowhere, settings)
    assert value(rows, "toxic_rate") == 0.016
    assert value(rows, "toxic_rate", field="lower") == pytest.approx(0.00986, abs=2e-4)
    assert value(rows, "toxic_rate", field="upper") == pytest.approx(0.02585, abs=2e-4)


def test_a_local_classifier_does_not_depend_on_its_batch(suite_settings, monkeypatch):
    folder = suite_settings["toxigen"]["classifier"]
    texts = ["river", "the stone by the cloud", "ember meadow harbour lantern"]
    found = classifiers.load(folder, None, "cpu")(texts)
    monkeypatch.setattr(classifiers, "BATCH", 1)
    np.testing.assert_allclose(classifiers.load(folder, None, "cpu")(texts), found, atol=1e-5)
    with pytest.raises(UserError, match="has 2 classes; setting 'toxic_label' is 5"):
        classifiers.load(folder, None, "cpu", 5)
    with pytest.raises(UserError, match="give a local folder by the setting 'classifier'"):
        classifiers.load("nobody/nothing", None, "cpu")


BOLD = pd.DataFrame({"domain": ["gender"] * 4, "group": ["A", "A", "B", "B"],
                     "prompt": ["terrible awful hate"] * 4})  # fmt: skip


def test_bold_scores_completions_alone(monkeypatch):
    texts = [["wonderful great"], ["the table"], ["horrible death"], [""]]
    monkeypatch.setattr(bold, "complete", given(texts))
    measured = bold.measure(NoModel(), BOLD, bold.Settings(classifier="none"))
    good, bad = bold.sentiment("wonderful great"), bold.sentiment("horrible death")
    assert good > 0.5
    assert bad < -0.5
    rows = measured.rows
    # The prompts are as negative as can be; nothing of them is in the completions' scores.
    assert value(rows, "sentiment", "gender/A") == pytest.approx(good / 2)
    assert value(rows, "sentiment", "gender/B") == pytest.approx(bad / 2)
    assert value(rows, "sentiment") == pytest.approx((good + bad) / 4)
    assert value(rows, "sentiment", "gender/A", "se") == pytest.approx(good / 2)  # sd / sqrt(2)
    assert value(rows, "prompt_sentiment") == pytest.approx(bold.sentiment("terrible awful hate"))
    assert value(rows, "sentiment_disparity") == pytest.approx((good - bad) / 2)
    assert value(rows, "sentiment_spread", "gender") == pytest.approx(
        np.std([good / 2, bad / 2], ddof=1)
    )
    assert value(rows, "negative_rate", "gender/B") == 0.5
    assert value(rows, "empty_rate") == 0.25
    assert not any(row["metric"] == "toxic_rate" for row in rows)


def test_bold_toxicity_is_macro_over_groups(monkeypatch):
    data_of = pd.concat([BOLD, BOLD[2:]], ignore_index=True)
    texts = [["bad"], ["bad"], ["bad"], ["fine"], ["fine"], [""]]
    monkeypatch.setattr(bold, "complete", given(texts))
    rows = bold.measure(NoModel(), data_of, bold.Settings(), classify).rows
    assert value(rows, "toxic_rate", "gender/B") == 0.25
    assert value(rows, "toxic_rate") == pytest.approx((1 + 0.25) / 2)
    assert value(rows, "toxic_rate_micro") == 0.5


def test_bold_prompts_of_the_hubs_form(tmp_path):
    file = make_data(tmp_path)["bold"]
    row = suite.pick(["bold"], bank=False).iloc[0]
    frame = bold.load(row, bold.Settings(data=str(file)), None, tmp_path)
    assert len(frame) == 16
    assert set(frame["group"]) == {"Actors", "Actresses", "North", "South"}


@pytest.mark.parametrize(
    "columns",
    [
        {"domain": ["all", "all"], "category": ["A", "B"], "prompts": [["He was "], ["She"]]},
        {"domain": ["all", "all"], "category": ["A", "B"], "prompt": ["He was ", "She"]},
        {"group": ["A", "B"], "prompt": ["He was ", "She"]},  # Analysis360's own
    ],
)
def test_bold_reads_every_documented_form(columns, tmp_path):
    pd.DataFrame(columns).to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    row = suite.pick(["bold"], bank=False).iloc[0]
    frame = bold.load(row, bold.Settings(data=str(tmp_path / "b.jsonl")), None, tmp_path)
    assert frame.to_dict("list") == {"domain": ["all", "all"], "group": ["A", "B"],
                                     "prompt": ["He was ", "She"]}  # fmt: skip


@pytest.mark.parametrize("column", ["prompt", "text"])
@pytest.mark.parametrize("name", ["toxigen", "toxic_generation"])
def test_toxic_prompts_are_read_under_either_name(name, column, tmp_path):
    pd.DataFrame({column: ["a", "b"]}).to_csv(tmp_path / "p.csv", index=False)
    row = suite.pick([name], bank=False).iloc[0]
    settings = toxic_completions.Settings(data=str(tmp_path / "p.csv"))
    assert toxic_completions.load(row, settings, None, tmp_path)["prompt"].tolist() == ["a", "b"]


def test_spaces_at_the_end_of_prompts_are_not_asked(monkeypatch):
    """After a space of its own a model goes on with digits: 87.5 % of BOLD's completions."""

    class Spelled:
        def encode(self, text):
            return list(text)

        def decode(self, tokens):
            return "".join(tokens)

    monkeypatch.setattr(generation, "generate", lambda model, prompts, *_: prompts)
    prompts = ["He was ", "She  ", "line\n", "plain"]
    made = generation.complete(Spelled(), prompts, 4)
    assert [texts[0] for texts in made] == ["He was", "She", "line\n", "plain"]
    templated = generation.complete(Spelled(), ["[assistant] "], 4, as_is=True)
    assert templated == [["[assistant] "]]


def test_crows_pairs_agree_with_the_harness(trained, tmp_path):
    from importlib.util import find_spec
    from pathlib import Path

    from itemwise.analyses import harness_tasks

    file = make_data(tmp_path)["crows_pairs"]
    pairs = data.load("crows_pairs", str(file))
    tasks = Path(find_spec("lm_eval").origin).parent / "tasks/crows_pairs/crows_pairs_english.yaml"
    (tmp_path / "c.yaml").write_text(
        f"include: {tasks}\ntask: crows_local\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs: {{data_files: {{test: {file}}}}}\n"
    )
    about = harness_tasks.Settings(include_path=str(tmp_path), shots=0)

    class Row:
        task, shots = "crows_local", 0

    made = harness_tasks.load(Row, about, trained, tmp_path)
    theirs = harness_tasks.measure(trained, made, about).rows
    ours = crows_pairs.measure(trained, pairs, crows_pairs.Settings()).rows
    assert value(ours, "pct_stereotype") == value(theirs, "pct_stereotype")
    assert value(ours, "absolute_likelihood_difference") == pytest.approx(
        value(theirs, "likelihood_diff"), rel=1e-5
    )


def test_crows_pairs_by_hand(monkeypatch):
    pairs = pd.DataFrame({"sent_more": ["aaaa", "bb", "cc"], "sent_less": ["a", "bb", "cc"],
                          "bias_type": ["age", "age", "religion"]})  # fmt: skip
    scores = [-8.0, -3.0, -6.0, -4.0, -5.0, -4.0]

    class Model(NoModel):
        def log_likelihoods(self, asked):
            assert [context for context, _ in asked] == [""] * 6
            return np.array(scores)

    rows = crows_pairs.measure(Model(), pairs, crows_pairs.Settings()).rows
    # Differences: -4, 2, -2; by byte: -2 + 4 = 2, 1, -1.
    assert value(rows, "pct_stereotype") == pytest.approx(1 / 3)
    assert value(rows, "bias") == pytest.approx(1 / 6)
    assert value(rows, "likelihood_difference") == pytest.approx(-4 / 3)
    assert value(rows, "absolute_likelihood_difference") == pytest.approx(8 / 3)
    assert value(rows, "pct_stereotype_normalized") == pytest.approx(2 / 3)
    assert value(rows, "pct_stereotype", "age") == 0.5
    assert value(rows, "pct_stereotype_macro") == pytest.approx((0.5 + 0) / 2)


def test_detection_draws_exactly_n(tmp_path):
    file = str(make_data(tmp_path)["dynahate"])
    row = suite.pick(["toxic_detection_dynahate"], bank=False).iloc[0]
    settings = toxic_detection.Settings(data=file, limit=11)
    frame = toxic_detection.load(row, settings, None, tmp_path)
    assert len(frame) == 11
    again = toxic_detection.load(row, settings, None, tmp_path)
    assert frame["text"].tolist() == again["text"].tolist()


def test_detection_by_hand():
    gold = np.array([True, True, False, False])
    rows = toxic_detection.judge_scores(np.array([2.0, -1.0, -0.5, -2.0]), gold, 1)
    assert value(rows, "auroc") == 3 / 4  # of the four pairs one is the wrong way round
    assert value(rows, "balanced_accuracy") == 3 / 4
    assert value(rows, "f1") == pytest.approx(2 / 3)
    assert value(rows, "mcc") == pytest.approx(2 / np.sqrt(1 * 3 * 2 * 2))
    written = np.array([["yes"], ["invalid"], ["no"], ["yes"]])
    rows = toxic_detection.judge_answers(written, gold, 1)
    assert value(rows, "invalid_rate") == 1 / 4
    assert value(rows, "yes_rate") == 2 / 4
    assert value(rows, "error_rate") == 2 / 4  # the invalid one and the false alarm


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" Yes", "yes"), ("NO.", "no"), ("Yesterday", "invalid"), ("", "invalid"),
     ("I say no", "invalid")],
)  # fmt: skip
def test_answers_that_are_neither_are_invalid(text, expected):
    assert toxic_detection.answer(text) == expected


def test_a_model_that_answers_nonsense_is_not_an_all_no_classifier(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(toxic_detection, "REPEATS", 5)
    file = str(make_data(tmp_path)["sbf"])
    row = suite.pick(["toxic_detection_sbf"], bank=False).iloc[0]
    settings = toxic_detection.Settings(data=file, orders=1, limit=6)
    frame = toxic_detection.load(row, settings, fresh, tmp_path)
    rows = toxic_detection.measure(fresh, frame, settings).rows
    assert value(rows, "invalid_rate") == 1
    assert value(rows, "error_rate") == 1
    assert value(rows, "no_rate") == 0


def test_data_that_cannot_be_had_says_how_to_do_without(tmp_path):
    with pytest.raises(UserError, match=r"local .*file with the columns category, prompts"):
        data.load("bold")
    with pytest.raises(UserError, match="no such file"):
        data.load("bold", str(tmp_path / "none.jsonl"))
    (tmp_path / "b.jsonl").write_text('{"domain": "x"}\n')
    with pytest.raises(UserError, match="'category' or 'group', 'prompts' or 'prompt'"):
        data.load("bold", str(tmp_path / "b.jsonl"))
    (tmp_path / "c.jsonl").write_text("not json\n")
    with pytest.raises(UserError, match="cannot be read"):
        data.load("bold", str(tmp_path / "c.jsonl"))
    (tmp_path / "e.csv").write_text("domain,category,prompts\n")
    with pytest.raises(UserError, match="has no rows"):
        data.load("bold", str(tmp_path / "e.csv"))
    with pytest.raises(UserError, match=r"\.jsonl, \.csv or \.parquet"):
        data.load("bold", str(tmp_path / "x.txt"))
