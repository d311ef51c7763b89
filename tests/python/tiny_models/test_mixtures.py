"""Pseudo-checkpoints: a model's attention weights mixed with noise; and a real model's items."""

from __future__ import annotations

import importlib.util
import json
from functools import partial

import pytest
import torch
from tiny import make_model

from itemwise.errors import UserError
from itemwise.paths import ROOT
from itemwise.tables.contract import read_table
from itemwise.tiny_models import mixtures, real_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model") / "tiny")


def weights(folder) -> dict:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


def test_weights_are_the_shares_of_model_and_noise(model, tmp_path, itemwise):
    """Attention by the formula, within bfloat16's rounding; all else as it was."""
    done = itemwise("mix-checkpoints", "--lm", model, "--shares", "0.5", "1", "--draws", 2,
                    "--out", tmp_path / "noisy")  # fmt: skip
    assert done.status == 0, done.err
    trained = weights(model)
    places = ("draw-1/50-percent", "draw-1/100-percent", "draw-2/50-percent")
    half, whole, other = (weights(tmp_path / "noisy" / place) for place in places)
    noise = {}
    for name, w in trained.items():
        assert torch.allclose(whole[name], w, rtol=2**-7, atol=1e-6), name
        mixed = "attn" in name and w.dim() == 2
        assert mixed == (not torch.allclose(half[name], w, rtol=2**-7, atol=1e-6)), name
        if mixed:
            noise[name] = ((half[name] - 0.5 * w) / (0.5 * w.std())).flatten()
            assert not torch.equal(half[name], other[name])
    every = torch.cat(list(noise.values()))
    assert abs(every.mean()) < 5 / len(every) ** 0.5  # five standard errors
    assert abs(every.std() - 1) < 5 / (2 * len(every)) ** 0.5 + 2**-7


def test_lists_say_that_it_is_no_training(model, tmp_path, itemwise):
    done = itemwise("mix-checkpoints", "--lm", model, "--shares", "1", "0.7", "--out", tmp_path)
    assert done.status == 0, done.err
    table = read_table(tmp_path / "draw-1.parquet", "checkpoints")
    assert table["revision"].tolist() == ["70-percent", "100-percent"]
    assert table["step"].tolist() == [70, 100]
    assert table["note"].unique().tolist() == [mixtures.NOTE]
    assert (
        "no training"
        in json.loads((tmp_path / "draw-1" / "70-percent" / mixtures.RECORD).read_text())["note"]
    )


def test_what_is_there_is_kept_and_what_was_cut_off_is_made_anew(model, tmp_path):
    trained = mixtures.unpack(model, tmp_path / "shared")
    make = partial(mixtures.mix, trained, [0.7, 0.9], 1, tmp_path / "shared", tmp_path / "draw-1")
    make()
    first, second = (tmp_path / "draw-1" / name for name in ("70-percent", "90-percent"))
    before = (second / mixtures.MIXED).read_bytes()
    kept = (first / mixtures.MIXED).stat().st_mtime_ns
    (second / mixtures.RECORD).unlink()
    (second / mixtures.MIXED).write_bytes(b"half")
    make()
    assert (first / mixtures.MIXED).stat().st_mtime_ns == kept
    assert (second / mixtures.MIXED).read_bytes() == before


@pytest.mark.parametrize("shares", [["0"], ["0.5", "1.1"]])
def test_shares_are_above_none_and_no_more_than_all(shares, model, tmp_path, itemwise):
    done = itemwise("mix-checkpoints", "--lm", model, "--shares", *shares, "--out", tmp_path)
    assert done.status == 2
    assert "--shares" in done.err


def test_mixtures_of_another_model_are_not_taken_for_this_ones(model, tmp_path):
    mixtures.unpack(model, tmp_path / "shared")
    other = make_model(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="holds mixtures of"):
        mixtures.unpack(other, tmp_path / "shared")


def test_no_model_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="does not load"):
        mixtures.unpack(tmp_path, tmp_path / "shared")


def test_items_have_four_choices_and_names_of_their_own():
    text = (ROOT / "config" / "demo-real" / "items.jsonl").read_text(encoding="utf-8")
    items = [json.loads(line) for line in text.splitlines()]
    assert len({item["item"] for item in items}) == len(items) == 160
    assert len({item["question"] for item in items}) == len(items)
    assert all(len(set(item["choices"])) == 4 for item in items)


@pytest.mark.slow
def test_a_real_model_answers_eight_items(tmp_path, monkeypatch):
    """Capitals, of which the model knows nearly all: chance would have 2 of 8."""
    if importlib.util.find_spec("gguf") is None:
        pytest.skip("package gguf is not installed")
    from itemwise.harness.evaluate import ask_documents, tabulate
    from itemwise.harness.ledger import Ledger
    from itemwise.harness.model import LanguageModel, provenance
    from itemwise.harness.suite import Suite

    try:
        folder = real_model.fetch(tmp_path)
    except UserError as error:
        pytest.skip(f"the real model cannot be had: {error}")
    monkeypatch.chdir(ROOT)  # the task names its data from there
    suite = Suite(["plain"], include_path=ROOT / "config" / "demo-real")
    model = LanguageModel(str(folder), device="cpu", dtype="float32",
                          arguments=real_model.packed(folder))  # fmt: skip
    lm = model.load()
    about = provenance(model, lm, suite)
    ledger = Ledger(tmp_path / "ledger", about)
    asked = suite.documents[:8]
    ask_documents(lm, suite, asked, ledger)
    table = tabulate(asked, ledger, about)
    ledger.close()
    assert len(table) == 8
    assert table["response"].sum() >= 6
