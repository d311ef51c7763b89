"""Tests that need the harness skip by name where it is not installed."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    """Skip where the harness is missing; keep its data cache out of the user's."""
    os.environ["HF_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("datasets"))
    return pytest.importorskip("lm_eval", reason="lm_eval is not installed")


@pytest.fixture(scope="session")
def tasks(harness, tmp_path_factory):
    """Return the folder of two small tasks."""
    from tiny import make_tasks

    return make_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def tiny_model(harness, tmp_path_factory):
    """Return the folder of a tiny transformer."""
    from tiny import make_model

    return make_model(tmp_path_factory.mktemp("lab") / "tiny")


@pytest.fixture(scope="session")
def loaded(tiny_model):
    """Return the tiny transformer and its description, loaded once."""
    from itemwise.harness.model import LanguageModel

    model = LanguageModel(str(tiny_model), device="cpu", batch_size=4)
    return model, model.load()
