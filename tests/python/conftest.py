"""What tests of the Python package share."""

import os
from dataclasses import dataclass

import pytest

from itemwise.cli.main import main

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def itemwise(capsys):
    """Return a function that runs the command line within this process."""

    def run(*arguments) -> Finished:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse
            status = leaving.code
        printed = capsys.readouterr()
        return Finished(status, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def harness(tmp_path_factory):
    """Skip where the harness is missing; keep its data cache out of the user's."""
    os.environ["HF_DATASETS_CACHE"] = str(tmp_path_factory.mktemp("datasets"))
    return pytest.importorskip("lm_eval", reason="lm_eval is not installed")
