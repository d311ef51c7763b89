"""Say what is installed, what it is for, and how to get what is missing.

Exit status 0 when the workflow has what it needs, 1 otherwise. A version other than the
tested one is reported, but is no failure.
"""

from __future__ import annotations

import json

from itemwise.cli.terminal import styled
from itemwise.workflow.doctor import Finding, as_records, examine, is_ready

MARKS = {"ok": "ok", "other": "!", "missing": "MISSING", "absent": "-"}
COLOURS = {"ok": "green", "other": "yellow", "missing": "red", "absent": "dim"}

USES = {
    "Distil a benchmark": ("R", "mgcv", "optparse", "jsonlite", "yaml", "snakemake"),
    "The demo, and evaluating models": ("torch", "lm-eval", "R", "mgcv"),
    "Compare with reference engines": ("mirt", "catR"),
    "A Slurm cluster": ("snakemake-executor-plugin-slurm", "sbatch"),
}
"""What each use needs, by the names of findings."""


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options) -> int:
    """Examine, print, and return the exit status."""
    findings = examine()
    ready = is_ready(findings)
    if options.json:
        print(json.dumps({"ready": ready, "findings": as_records(findings)}, indent=2))
    else:
        print(text(findings))
        print("\n" + summary(findings))
    return 0 if ready else 1


def text(findings: list[Finding]) -> str:
    """Return the findings as a table, group by group."""
    width = max(len(finding.name) for finding in findings)
    lines, group = [], None
    for finding in findings:
        if finding.group != group:
            lines += ["", styled(finding.group, "bold")]
            group = finding.group
        mark = styled(f"{MARKS[finding.state]:<7}", COLOURS[finding.state])
        parts = [finding.found, finding.purpose and f"({finding.purpose})"]
        line = f"  {mark} {finding.name:<{width}}  " + "  ".join(filter(None, parts))
        lines.append(line.rstrip())
        if finding.remedy:
            lines.append(f"  {'':<7} {'':<{width}}  get it: {finding.remedy}")
    return "\n".join(lines[1:])


def summary(findings: list[Finding]) -> str:
    """Return a line a use: what is there, and what it lacks."""
    there = {f.name for f in findings if f.state in ("ok", "other")}
    lines = []
    for use, names in USES.items():
        lacking = [name for name in names if name not in there]
        lines.append(f"{use}: " + (f"lacks {', '.join(lacking)}" if lacking else "ready"))
    missing = [finding.name for finding in findings if finding.state == "missing"]
    if missing:
        lines.append(f"The workflow lacks: {', '.join(missing)}.")
    other = [finding.name for finding in findings if finding.state == "other"]
    if other:
        lines.append(f"Not as tested or advised: {', '.join(other)}.")
    return "\n".join(lines)
