"""Small tasks for the harness."""

import pytest


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
