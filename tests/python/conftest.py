"""What tests of the Python package share."""

from dataclasses import dataclass

import pytest

from itemwise.cli.main import main


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
