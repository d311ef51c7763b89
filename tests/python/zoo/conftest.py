"""Tests of the zoo skip by name where the harness is not installed."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    """Skip where the harness is missing; keep its data cache out of the user's."""
    os.environ["HF_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("datasets"))
    return pytest.importorskip("lm_eval", reason="lm_eval is not installed")
