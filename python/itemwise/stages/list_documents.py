"""List the documents of harness tasks with their prompts, as models get them.

The table serves as `item_metadata` of a benchmark: the bank then knows prompts and
hashes of its items, and holds harness tasks that run its short forms.
"""

from __future__ import annotations

from itemwise.cli.model_options import add_task_options
from itemwise.cli.options import add, key_values
from itemwise.harness.evaluate import describe_documents
from itemwise.harness.suite import Prompting, Suite
from itemwise.tables.contract import write_table


def add_options(parser) -> None:
    """Declare the options."""
    add_task_options(parser)
    add(parser, "out", help="documents table to write")


def run(options) -> None:
    """Build and write."""
    suite = Suite(
        options.tasks or [],
        Prompting(options.num_fewshot, options.fewshot_seed, False, options.system_instruction),
        include_path=options.include_path,
        benchmarks=key_values(options.benchmark_of, "--benchmark-of"),
    )
    write_table(describe_documents(suite.documents, suite), options.out, "documents")
