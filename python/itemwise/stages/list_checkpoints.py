"""List the checkpoints of training runs: known families, hub models, folders, or tables.

A subset is picked by number (--count) or by spacing in tokens (--every-tokens); the first
and the last checkpoint are always in it.
"""

from __future__ import annotations

import json

from itemwise.analyses import checkpoint_families, checkpoint_lists
from itemwise.cli.options import add, whole_number
from itemwise.cli.terminal import warn
from itemwise.errors import UserError
from itemwise.tables.contract import write_table


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--family", nargs="+", default=[], metavar="NAME",
                        help=f"known: {', '.join(checkpoint_families.FAMILIES)}")  # fmt: skip
    parser.add_argument("--size", help="which Pythia, such as 1.4b or 1.4b-deduped")
    parser.add_argument("--hub", nargs="+", default=[], metavar="ID",
                        help="hub models whose branches and tags name the step")  # fmt: skip
    parser.add_argument("--folder", nargs="+", default=[],
                        help="folders that hold one folder a checkpoint")  # fmt: skip
    parser.add_argument("--tokens-per-step", type=float, help="with --folder")
    parser.add_argument("--table", nargs="+", default=[], help="tables, parquet or CSV")
    parser.add_argument("--entries", nargs="+", type=json.loads, default=[], metavar="JSON",
                        help="as in config key profile.checkpoints")  # fmt: skip
    parser.add_argument("--count", type=whole_number(1), help="so many of each model")
    parser.add_argument("--every-tokens", type=float, help="at least so many tokens apart")
    add(parser, "out", help="checkpoints table to write")


def run(options) -> None:
    """List, pick and write."""
    tables = [
        *(checkpoint_families.family(name, options.size) for name in options.family),
        *(checkpoint_lists.from_hub(name, notice) for name in options.hub),
        *(
            checkpoint_lists.from_folder(path, options.tokens_per_step, notice)
            for path in options.folder
        ),
        *(checkpoint_lists.from_file(path) for path in options.table),
        *([checkpoint_lists.from_entries(options.entries, notice)] if options.entries else []),
    ]
    if not tables:
        raise UserError("nothing to list; give --family, --hub, --folder, --table or --entries")
    table = checkpoint_lists.join(tables)
    # Entries have None for what is not known, so that their columns hold objects.
    table = table.astype({"step": float, "tokens": float})
    picked = checkpoint_lists.subset(table, options.count, options.every_tokens)
    write_table(picked, options.out, "checkpoints")
    print(f"{len(picked)} of {len(table)} checkpoints")
    for note in picked["note"].dropna().unique():
        print(f"note: {note}")


def notice(message: str) -> None:
    """Print what is left out of a list, or contradicts itself."""
    warn([message])
