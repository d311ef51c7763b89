"""Documentation: the site builds, and every command in it exists with the options it is given."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module

import pytest
from r_stages import options_of_r

from itemwise.cli.main import STAGES, command_parser
from itemwise.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shell_blocks(page: str) -> str:
    """Return the lines within fences of bash, or of no language."""
    kept, language = [], None
    for line in page.splitlines():
        if line.lstrip().startswith("```"):
            language = line.strip()[3:] if language is None else None
        elif language in ("", "bash"):
            kept.append(line)
    return "\n".join(kept)


def command_lines(page: str) -> list[str]:
    """Return the command lines of a page's blocks, continued lines joined."""
    text = shell_blocks(page).replace("\\\n", " ")
    lines = [re.sub(r"^(\.venv/bin/)?", "", line.strip()) for line in text.splitlines()]
    return [line for line in lines if re.match(r"(itemwise|Rscript|make|snakemake) ", line)]


CASES = [
    pytest.param(line, id=f"{page.name}: {' '.join(line.split()[:3])}"[:60])
    for page in PAGES
    for line in command_lines(page.read_text(encoding="utf-8"))
]


@cache
def parser_of(stage: str):
    return command_parser(stage, import_module(f"itemwise.stages.{stage.replace('-', '_')}"))


def check_itemwise(words: list[str]) -> None:
    """Parse as the command itself would; a wrong option ends in SystemExit."""
    if words[0] in ("--help", "--version"):
        return
    assert words[0] in STAGES
    if words[1:] != ["--help"]:
        parser_of(words[0]).parse_args(words[1:])


def check_rscript(words: list[str]) -> None:
    words = [word for word in words if word != "--vanilla"]
    if words[0] == "-e":  # an expression: the files and folders that it names
        named = re.findall(r'\("([\w./-]+)"', words[1])
        assert named
        assert all((ROOT / name).exists() for name in named)
        return
    known = options_of_r(words[0].removeprefix("R/").removesuffix(".R"))
    assert {word.split("=")[0] for word in words if word.startswith("--")} <= known


def check_make(words: list[str]) -> None:
    assert words[0] in TARGETS


def check_snakemake(words: list[str]) -> None:
    from snakemake.cli import get_argument_parser

    get_argument_parser().parse_args(words)


CHECKS = {
    "itemwise": check_itemwise,
    "Rscript": check_rscript,
    "make": check_make,
    "snakemake": check_snakemake,
}


def test_blocks_of_other_languages_hide_no_commands():
    page = "```yaml\na: 1\n```\ntext\n```\nmake demo\n```\n```python\nmake = 1\n```\nmake site\n"
    assert command_lines(page) == ["make demo"]


@pytest.mark.parametrize(("page", "least"), [("README.md", 11), ("docs/statisticians.md", 4)])
def test_commands_of_a_page_are_found(page, least):
    assert len(command_lines((ROOT / page).read_text(encoding="utf-8"))) >= least


@pytest.mark.parametrize("line", CASES)
def test_command_in_the_documentation_exists(line):
    program, *words = shlex.split(line, comments=True)
    words = words[: words.index("|")] if "|" in words else words
    CHECKS[program](words)


@pytest.mark.parametrize(
    "line", ["itemwise fit-itr", "itemwise score-model --banks b", "make sitee",
             "Rscript R/fit_readout.R --formulas x", "snakemake --corse 2"],
)  # fmt: skip
def test_a_wrong_command_would_be_found(line, capsys):
    program, *words = shlex.split(line)
    with pytest.raises((AssertionError, SystemExit)):
        CHECKS[program](words)


LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_clone(page):
    """As a code host follows them; the site turns those that leave `docs` (docs/build_site.py)."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_picture_of_the_flow_has_the_numbers_of_its_page(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import_module("flow").draw(tmp_path / "flow.svg")
    pictures = [tmp_path / "flow.svg", ROOT / "docs" / "evidence" / "flow.svg"]
    texts = [re.findall(r">([^<>]+)</t", path.read_text(encoding="utf-8")) for path in pictures]
    assert texts[0] == texts[1], "run python benchmarks/flow.py"
    assert "100 items" in texts[0]


def test_inline_commands_exist():
    for page in PAGES:
        for name in re.findall(r"`itemwise ([a-z][\w-]*)", page.read_text(encoding="utf-8")):
            assert name in STAGES, f"{page.name}: itemwise {name}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site, built from a copy of the pages."""
    pytest.importorskip("zensical", reason="zensical is not installed (extra docs)")
    folder = tmp_path_factory.mktemp("clone")
    for name in ("docs", "config"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "zensical.toml", folder)
    command = [sys.executable, folder / "docs" / "build_site.py"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def pages_of(entry) -> set[str]:
    """Return the pages in the navigation, or in a part of it."""
    if isinstance(entry, str):
        return {entry}
    parts = entry.values() if isinstance(entry, dict) else entry
    return set().union(*map(pages_of, parts))


def test_every_page_is_in_the_navigation():
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert pages_of(project["nav"]) == {*pages, "configuration.md", "evidence/README.md"}


EVIDENCE = ROOT / "docs" / "evidence"


def test_every_page_of_evidence_is_in_its_index():
    linked = set(LINK.findall((EVIDENCE / "README.md").read_text(encoding="utf-8")))
    assert linked >= {page.name for page in EVIDENCE.glob("*.md")} - {"README.md"}
    assert [name for name in linked if not (EVIDENCE / name).exists()] == []


def test_site_is_complete(site):
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").exists()
    assert "irt.model" in (site / "configuration.html").read_text(encoding="utf-8")
    assert "recovery.html" in (site / "evidence" / "index.html").read_text(encoding="utf-8")
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="configuration.html"' in home
    assert 'href="evidence/index.html"' in home


def test_formulas_are_drawn_without_scripts(site):
    page = (site / "methods.html").read_text(encoding="utf-8")
    assert page.count("<math ") >= 5
    assert "arithmatex" not in page


def test_site_needs_no_network(site):
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img)[^>]* src="(https?:[^"]+)', text)
        loaded += re.findall(
            r'<link[^>]* rel="(?:stylesheet|preconnect)"[^>]*href="(https?:[^"]+)', text
        )
        assert loaded == [], page.name


def test_container_follows_the_set_up_scripts():
    definition = (ROOT / "envs" / "itemwise.def").read_text(encoding="utf-8")
    for script in ("envs/setup-r.sh", "envs/setup-python.sh"):
        assert script in definition
        assert (ROOT / script).exists()
