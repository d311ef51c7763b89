"""The pinned versions can be installed where the README says they can."""

from __future__ import annotations

from importlib.metadata import distribution

from packaging.specifiers import SpecifierSet

from itemwise.paths import ROOT
from itemwise.workflow.doctor import pinned_versions

DEBIAN_12 = "3.11.2"
"""Its own Python."""


def test_pins_install_with_the_python_of_debian_12():
    refused, looked_at = {}, 0
    for name, version in pinned_versions(ROOT / "constraints.txt").items():
        try:
            found = distribution(name)
        except ModuleNotFoundError:
            continue  # an extra that is not installed
        looked_at += 1
        wanted = found.metadata["Requires-Python"]
        if wanted and found.version == version and DEBIAN_12 not in SpecifierSet(wanted):
            refused[name] = wanted
    assert looked_at > 50
    assert refused == {}
