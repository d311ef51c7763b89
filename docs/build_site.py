"""Build the documentation site: python docs/build_site.py, then open site/index.html.

Pages are gathered in `build/docs`, where those lie that are made or moved; zensical builds them
and checks their links; formulas become MathML, which browsers draw without scripts and without a
network. Needs `.[docs]`.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "docs"
SITE = ROOT / "site"

CONFIGURATION = "](../config/README.md", "](configuration.md"
"""A link as a code host follows it in the clone, and as the site does."""

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def main() -> None:
    """Gather the pages, build the site, draw the formulas."""
    gather_pages()
    zensical = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(zensical, cwd=ROOT)
    if built.returncode != 0:
        sys.exit(built.returncode)
    for page in SITE.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(FORMULA.sub(mathml, text), encoding="utf-8")


def gather_pages() -> None:
    """Copy `docs` and the configuration page, and turn the links to it."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    left_out = shutil.ignore_patterns("*.py", "examples", "__pycache__")
    shutil.copytree(ROOT / "docs", PAGES, ignore=left_out)
    shutil.copy(ROOT / "config" / "README.md", PAGES / "configuration.md")
    for page in PAGES.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(*CONFIGURATION), encoding="utf-8")


def mathml(found: re.Match) -> str:
    """Return a formula, as the site's Markdown marks it, in MathML."""
    display = "block" if found[2] == "[" else "inline"
    return convert(html.unescape(found[3].strip()), display=display)


if __name__ == "__main__":
    main()
