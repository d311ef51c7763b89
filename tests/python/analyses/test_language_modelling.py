"""Perplexity, memorization and generation of tiny models against values by hand."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_suite import SENTENCES, SEQUENCES

from itemwise.analyses import memorization, perplexity, suite
from itemwise.analyses.generation import Sampling, complete, generate
from itemwise.errors import UserError

TEXTS = pd.DataFrame({"text": [" ".join(SENTENCES[:n]) for n in (1, 2, 3, 5)],
                      "domain": ["a", "b", "a", "b"]})  # fmt: skip
SETTINGS = perplexity.Settings(length=24, stride=10)


def by_name(measured, group=""):
    """Return metric to value of a group."""
    return {r["metric"]: r["value"] for r in measured.rows if r["group"] == group}


@given(st.integers(1, 200), st.integers(1, 40), st.data())
def test_windows_predict_every_token_once_with_enough_before_it(n, length, data):
    stride = data.draw(st.integers(1, length))
    tokens = list(range(1, n + 1))
    made = perplexity.windows(0, tokens, 0, length, stride)
    assert [t for window in made for t in window.targets] == tokens
    for window in made:
        assert len(window.inputs) <= length
        # Inputs end where the last target begins; before a target lie L - s tokens or all.
        assert window.inputs[-1] == window.targets[-1] - 1
        first = window.targets[0]
        assert first - window.inputs[0] >= min(first, length - stride + 1)


def test_perplexity_by_hand_and_for_every_batch_and_padding(load_tiny, trained):
    import torch

    total, counted = np.zeros(len(TEXTS)), np.zeros(len(TEXTS))
    for place, text in enumerate(TEXTS["text"]):
        tokens = [trained.start_token, *trained.encode(text)]
        counted[place] = len(tokens) - 1
        end = 0
        for target in range(1, len(tokens)):  # each token alone, in its own window
            if target > end:
                end = 24 if end == 0 else end + 10
            start = max(min(end, len(tokens) - 1) - 24, 0)
            with torch.inference_mode():
                logits = trained.network(torch.tensor([tokens[start:target]])).logits[0, -1]
            total[place] -= float(logits.log_softmax(-1)[tokens[target]])
    size = np.array([len(text.encode()) for text in TEXTS["text"]])
    expected = {
        "bits_per_byte": total.sum() / np.log(2) / size.sum(),
        "token_perplexity": np.exp(total.sum() / counted.sum()),
        "word_perplexity": np.exp(total.sum() / sum(len(t.split()) for t in TEXTS["text"])),
    }
    for batch_size in (1, 2, 16):
        for padding in ("right", "left"):
            settings = perplexity.Settings(length=24, stride=10, padding=padding)
            measured = perplexity.measure(load_tiny(60, batch_size), TEXTS, settings)
            assert by_name(measured) == pytest.approx(expected, rel=1e-4)
    at = [0, 2]
    assert by_name(measured, "a")["bits_per_byte"] == pytest.approx(
        total[at].sum() / np.log(2) / size[at].sum(), rel=1e-4
    )


def test_a_model_that_knows_nothing_needs_log_v_bits_a_token(load_tiny):
    import torch

    model = load_tiny(0)
    with torch.no_grad():
        for weights in model.network.parameters():
            weights.zero_()
    measured = perplexity.measure(model, TEXTS, SETTINGS)
    size = model.network.config.vocab_size
    assert by_name(measured)["token_perplexity"] == pytest.approx(size, rel=1e-5)
    tokens = sum(len(model.encode(text)) for text in TEXTS["text"])
    size_of_text = sum(len(text.encode()) for text in TEXTS["text"])
    assert by_name(measured)["bits_per_byte"] == pytest.approx(
        tokens * np.log2(size) / size_of_text, rel=1e-5
    )


def test_perplexity_refuses_windows_that_cannot_be(trained):
    with pytest.raises(UserError, match="stride <= length <= context"):
        perplexity.measure(trained, TEXTS, perplexity.Settings(length=8, stride=9))
    with pytest.raises(UserError, match="no text has a token"):
        perplexity.measure(trained, pd.DataFrame({"text": [""]}), SETTINGS)


def sequences(model) -> pd.DataFrame:
    """Return the texts that were trained on, and as many that were not."""
    return pd.DataFrame(
        {
            "token_ids": [model.encode(t) for t in SEQUENCES],
            "chunk": np.arange(8) // 4,
            "seen_at": 1000.0 * (np.arange(8) // 4),
        }
    )


K8 = memorization.Settings(prompt=8, continuation=16)


def test_an_overfitted_model_gives_all_of_its_training_text_back(trained):
    measured = memorization.measure(trained, sequences(trained), K8)
    assert by_name(measured)["full_match"] == 1
    assert by_name(measured)["token_match"] == 1
    assert by_name(measured, "chunk 0") == {"full_match": 1, "token_match": 1}
    unseen = by_name(measured, "unseen")["token_match"]
    assert unseen < 0.6  # texts of eight words: a guess is right now and then
    assert by_name(measured)["token_match_excess"] == pytest.approx(1 - unseen)
    excess = next(r for r in measured.rows if r["metric"] == "token_match_excess")
    assert excess["lower"] > 0


def test_a_fresh_model_is_at_chance(fresh):
    rng = np.random.default_rng(0)
    size = fresh.network.config.vocab_size
    data = pd.DataFrame({"token_ids": list(rng.integers(1, size, size=(64, 24))), "chunk": 0})
    measured = memorization.measure(fresh, data, K8)
    chance = 1 / size
    expected = 64 * 16 * chance
    hits = by_name(measured)["token_match"] * 64 * 16
    assert abs(hits - expected) < 4 * np.sqrt(expected)
    assert by_name(measured)["full_match"] == 0


def test_an_early_end_is_a_mismatch_not_a_crash(trained, monkeypatch):
    data = sequences(trained)[:2]
    ids = data["token_ids"].map(lambda t: t[8:24]).tolist()
    monkeypatch.setattr(memorization, "generate", lambda *a: [ids[0][:4], []])
    measured = memorization.measure(trained, data.drop(columns="seen_at"), K8)
    assert measured.units["value"].tolist() == [0.25, 0]
    assert by_name(measured)["full_match"] == 0


def test_a_checkpoint_that_has_seen_nothing_has_no_headline_and_says_so(trained):
    data = sequences(trained).assign(seen_at=1e9)
    measured = memorization.measure(trained, data, K8)
    assert np.isnan(by_name(measured)["token_match"])
    assert by_name(measured, "unseen")["token_match"] > 0
    assert "has seen none of the sequences" in measured.notes[-1]


def test_sequences_are_read_in_every_documented_form(trained, tmp_path):
    """Token ids, text, or a prompt and its continuation, by source: the same sequences."""
    row = suite.pick(["memorization"], bank=False).iloc[0]
    ids = [trained.encode(text) for text in SEQUENCES]
    forms = [
        {"token_ids": ids},
        {"text": SEQUENCES},
        {"prompt": [text[:5] for text in SEQUENCES], "continuation": [t[5:] for t in SEQUENCES]},
        {"prompt": [one[:8] for one in ids], "continuation": [one[8:] for one in ids]},
    ]
    for form in forms:
        frame = pd.DataFrame({**form, "source": ["web", "books"] * 4})
        frame.to_json(tmp_path / "s.jsonl", orient="records", lines=True)
        settings = memorization.Settings(data=str(tmp_path / "s.jsonl"), prompt=8, continuation=16)
        data = memorization.load(row, settings, trained, tmp_path)
        assert data["token_ids"].tolist() == ids
        measured = memorization.measure(trained, data, settings)
        assert {"source web", "source books"} <= {r["group"] for r in measured.rows}
        assert measured.units["text"].str.len().gt(0).all()
    frame.drop(columns="continuation").to_json(tmp_path / "s.jsonl", orient="records", lines=True)
    with pytest.raises(UserError, match="lacks the column 'token_ids', 'text', or 'prompt' and"):
        memorization.load(row, settings, trained, tmp_path)


def test_short_sequences_are_left_out_and_told(trained):
    data = sequences(trained)
    data["token_ids"] = [[1, 2, 3], *data["token_ids"][1:]]
    measured = memorization.measure(trained, data, K8)
    assert "left out 1 of 8" in measured.notes[0]
    with pytest.raises(UserError, match="no sequence has 24 tokens"):
        memorization.measure(trained, data[:1], K8)


def test_chunks_of_the_hub_are_streamed(trained, tmp_path, monkeypatch):
    from tiny_suite import write_lines

    from itemwise.analyses import data, suite

    for chunk in (0, 7):
        rows = [{"token_ids": [chunk, i, *range(20)], "source": "x"} for i in range(50)]
        write_lines(tmp_path / f"train_{chunk:03d}.jsonl", rows)
    monkeypatch.setattr(memorization, "FILES", str(tmp_path / "train_{:03d}.jsonl"))
    monkeypatch.setitem(data.DATA_SETS, "training_chunks", data.DataSet("json", ("token_ids",)))
    row = suite.pick(["memorization"], bank=False).iloc[0]
    settings = memorization.Settings(chunks=(0, 7), limit=5, tokens_per_chunk=100.0)
    frame = memorization.load(row, settings, trained, tmp_path)
    assert frame.groupby("chunk")["seen_at"].agg(["size", "first"]).to_numpy().tolist() == [
        [5, 100], [5, 800],
    ]  # fmt: skip
    assert all(row.token_ids[0] == row.chunk for row in frame.itertuples())
    assert frame["token_ids"].map(lambda t: t[1]).max() > 4  # shuffled, not the first rows
    with pytest.raises(UserError, match="which training data"):
        memorization.load(row, memorization.Settings(), trained, tmp_path)


def test_greedy_and_sampled_text_do_not_depend_on_the_batch(load_tiny):
    prompts = [" ".join(SENTENCES[:n]) for n in (1, 3, 2)] + ["stone"]
    warm = Sampling(temperature=0.8, top_p=0.9, seed=5)
    greedy, sampled = (
        [complete(load_tiny(20, size), prompts, 12, sampling, repeats=2) for size in (1, 4)]
        for sampling in (Sampling(), warm)
    )
    assert greedy[0] == greedy[1]
    assert all(first == second for first, second in greedy[0])
    assert sampled[0] == sampled[1]
    assert any(first != second for first, second in sampled[0])


def test_sampling_draws_from_the_models_distribution(load_tiny):
    import torch

    model = load_tiny(20, batch_size=200)
    prompt = model.encode("river stone")
    with torch.inference_mode():
        logits = model.network(torch.tensor([prompt])).logits[0, -1].float()
    temperature = 0.7
    probability = (logits / temperature).softmax(-1)
    n = 800
    drawn = [t[0] for t in generate(model, [prompt] * n, 1, Sampling(temperature, 1.0, 3))]
    for token in probability.topk(3).indices.tolist():
        p = float(probability[token])
        assert abs(drawn.count(token) / n - p) < 4 * np.sqrt(p * (1 - p) / n)
    nucleus = [t[0] for t in generate(model, [prompt] * 50, 1, Sampling(temperature, 0.01, 3))]
    assert set(nucleus) == {int(logits.argmax())}


def test_more_tokens_than_the_context_are_refused(trained):
    with pytest.raises(UserError, match="do not fit the model's context of 1024"):
        generate(trained, [[1]], 1024)


def test_texts_that_are_cut_to_windows_are_not_warned_of(trained, monkeypatch):
    said = []
    logger = logging.getLogger("transformers.tokenization_utils_base")
    monkeypatch.setattr(logger, "handle", lambda record: said.append(record.getMessage()))
    monkeypatch.setattr(trained.tokenizer, "model_max_length", 8)
    monkeypatch.setattr(trained.tokenizer, "deprecation_warnings", {})
    long = "the river and the stone " * 20
    assert len(trained.encode(long, cut_later=True)) > 8
    perplexity.measure(trained, pd.DataFrame({"text": [long]}), perplexity.Settings(length=8))
    assert not said
    trained.encode(long)
    assert "indexing errors" in said[0]
