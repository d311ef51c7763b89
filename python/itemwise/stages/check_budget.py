"""Check that every benchmark has items enough for the short forms that are asked for.

Runs before calibration, which may take hours, and refuses a budget that cannot be met.
"""

from __future__ import annotations

from itemwise.cli.options import add, add_lists, check_lists
from itemwise.errors import UserError
from itemwise.forms import check_size
from itemwise.tables.contract import read_table
from itemwise.tables.files import write_record

LISTS = {
    "items": "items tables, after screening",
    "budgets": "numbers of items of a form (config key 'selection.budget')",
    "forms": "numbers of parallel forms (config key 'selection.forms')",
}
"""Options that take one value a benchmark, in the order of --benchmarks."""


def add_options(parser) -> None:
    """Declare the options."""
    add_lists(parser, LISTS)
    add(parser, "record", required=True)


def run(options) -> None:
    """Count and compare."""
    check_lists(options, LISTS)
    found = {}
    for name, path, budget, forms in zip(
        options.benchmarks, options.items, options.budgets, options.forms, strict=True
    ):
        table = read_table(path, "items")
        n_items = int((table["keep"] == 1).sum())
        try:
            check_size(int(budget), n_items, int(forms))
        except UserError as error:
            raise UserError(
                f"benchmark '{name}' has {len(table)} items, of which {n_items} passed "
                f"the screen; {error}"
            ) from None
        found[name] = {"budget": int(budget), "forms": int(forms), "n_items": n_items}
    write_record({"benchmarks": found}, options.record)
