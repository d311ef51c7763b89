"""What the site adds: the configuration page, an index of the evidence, formulas as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ELSEWHERE = {"](../config/README.md": "](configuration.md", "](evidence/)": "](evidence/README.md)"}
"""Links that a code host follows in the clone, and where they lead on the site."""

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files, config):
    """Add pages that lie elsewhere or are made of others."""
    root = Path(config.config_file_path).parent
    configuration = (root / "config" / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "configuration.md", content=configuration))
    lines = ["# Evidence", "", "Tables that `make bench` and `make prove` wrote.", ""]
    for path in sorted((Path(config.docs_dir) / "evidence").glob("*.md")):
        title = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        lines.append(f"- [{title[1] if title else path.stem}]({path.name})")
    index = "\n".join(lines) + "\n"
    files.append(File.generated(config, "evidence/README.md", content=index))
    return files


def on_page_markdown(markdown, **_):
    """Turn links to what lies elsewhere in the clone into links to the site's pages."""
    for link, page in ELSEWHERE.items():
        markdown = markdown.replace(link, page)
    return markdown


def on_page_content(content, **_):
    """Turn formulas into MathML: browsers draw it without scripts, and without a network."""
    return FORMULA.sub(_mathml, content)


def _mathml(found: re.Match) -> str:
    display = "block" if found[2] == "[" else "inline"
    return convert(html.unescape(found[3].strip()), display=display)
