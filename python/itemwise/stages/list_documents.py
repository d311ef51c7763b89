"""List the documents of harness tasks with their prompts, as models get them.

The table serves as `item_metadata` of a benchmark: the bank then knows prompts and
hashes of its items, and holds harness tasks that run its short forms.
"""

from __future__ import annotations

from itemwise.harness.evaluate import describe_documents
from itemwise.harness.suite import Prompting, Suite
from itemwise.stages.options import add, whole_number
from itemwise.stages.settings import key_values
from itemwise.tables import write_table


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--tasks", nargs="+", required=True, help="tasks or groups of the harness")
    parser.add_argument("--include-path", help="folder with further task files")
    parser.add_argument(
        "--benchmark-of",
        nargs="+",
        default=[],
        metavar="TASK=BENCHMARK",
        help="benchmark of a task (default: metabench's, else the name in --tasks)",
    )
    parser.add_argument("--num-fewshot", type=whole_number(0), help="default: each task's own")
    parser.add_argument("--system-instruction", help="text before every prompt")
    parser.add_argument(
        "--fewshot-seed", type=whole_number(0), default=1234, help="default: 1234, the harness's"
    )
    add(parser, "out", help="documents table to write")


def run(options) -> None:
    """Build and write."""
    suite = Suite(
        options.tasks,
        Prompting(options.num_fewshot, options.fewshot_seed, False, options.system_instruction),
        include_path=options.include_path,
        benchmarks=key_values(options.benchmark_of, "--benchmark-of"),
    )
    write_table(describe_documents(suite.documents, suite), options.out, "documents")
