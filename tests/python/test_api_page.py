"""The examples of docs/api.md run as they stand."""

import doctest
import re
import shutil

import pytest
from banks import build, export

from itemwise.paths import ROOT


@pytest.fixture
def bank(tmp_path):
    if shutil.which("Rscript") is None:
        pytest.skip("R: Rscript is not installed (make setup)")
    build(tmp_path, "sums", 1)
    assert export(tmp_path, tmp_path / "bank", ["sums"]) == 0
    return str(tmp_path / "bank")


def test_examples_of_the_page_run(bank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    code = re.sub(r"^```.*$", "", page, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(code, {"BANK": bank}, "api.md", "api.md", 0)
    assert len(examples.examples) > 40
    said = []
    result = doctest.DocTestRunner().run(examples, out=said.append)
    assert result.failed == 0, "".join(said)
