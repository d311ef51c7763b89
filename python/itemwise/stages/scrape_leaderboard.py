"""Collect item-wise results from the hub: leaderboards v1 and v2, or lm-eval sample logs.

What was read is in the manifest of --folder; the same command goes on where it was killed.
Endpoint and token: HF_ENDPOINT, HF_TOKEN. Exit status 1 when files are left pending.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from itemwise.cli.options import add, key_values
from itemwise.cli.section import add_section
from itemwise.collect.client import RetryPolicy
from itemwise.collect.collection import Collection, derive
from itemwise.collect.collector import Collector, jobs_left
from itemwise.collect.errors import STATES, CollectError
from itemwise.collect.hub import Hub
from itemwise.collect.leaderboard import Benchmark, chosen
from itemwise.collect.limits import RateLimiter, parse_limits, plan_limits
from itemwise.collect.manifest import Manifest
from itemwise.collect.models import ORGANIZATIONS, Model, in_folders, list_models
from itemwise.collect.plan import make_plan
from itemwise.collect.shards import write_collection
from itemwise.collect.v2 import folders_with_logs, tasks_with_logs
from itemwise.errors import UserError, listed
from itemwise.tables.files import write_record


def add_options(parser) -> None:
    """Declare the options."""
    parser.add_argument("--benchmarks", nargs="+", required=True, help="benchmarks to collect")
    add_section(parser, "collect")
    parser.add_argument(
        "--benchmark-of",
        nargs="+",
        default=[],
        metavar="TASK=BENCHMARK",
        help="sample logs: benchmark of a task (default: the task's name)",
    )
    parser.add_argument("--folder", required=True, type=Path, help="folder of the manifest")
    parser.add_argument("--out", type=Path, help="folder of the tables (default: --folder)")
    add(parser, "record")
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked, and stop")
    parser.add_argument(
        "--retry", nargs="+", default=[], choices=STATES[1:], help="ask files in these states again"
    )
    parser.add_argument(
        "--limits",
        nargs="+",
        default=[],
        metavar="KIND=N/SECONDS",
        help="other limits than the plan's",
    )
    parser.add_argument(
        "--wait", type=float, default=1.0, help="first wait after a failure, seconds (default: 1)"
    )


def run(options) -> None:
    """List, collect, derive and write."""
    tasks = key_values(options.benchmark_of, "--benchmark-of")
    benchmarks = chosen(options.source, options.benchmarks, tasks)
    limiter = RateLimiter(parse_limits(options.limits, plan_limits(options.plan)))
    hub = Hub(limiter, RetryPolicy(options.attempts, options.wait), contact=options.contact)
    hub.check()
    models = _models(hub, options, benchmarks)
    largest = None if options.max_disk is None else int(options.max_disk * 1e9)
    manifest = Manifest(options.folder / "manifest.sqlite", options.source, largest)
    try:
        manifest.register(models)
        reopened = manifest.reopen(options.retry, hub.token)
        jobs = jobs_left(manifest, models, benchmarks)
        if options.dry_run:
            plan = make_plan(hub, options.source, jobs, manifest.share_read())
            print("\n".join(plan.lines()))
            return
        print(
            f"{len(models)} models, {len(jobs)} with something left to read; {reopened} files "
            "opened again",
            file=sys.stderr,
        )
        with tqdm(total=len(jobs), unit="model", disable=None) as bar:
            Collector(hub, options.source, manifest, options.workers).run(jobs, _progress(bar, hub))
        names = [model.subject for model in models]
        collection = derive(manifest, names, benchmarks, options.kappa)
        out = options.out or options.folder
        write_collection(collection, manifest.models(), out)
    finally:
        manifest.close()
    _tell(collection, hub, options)


def _models(hub: Hub, options, benchmarks: list[Benchmark]) -> list[Model]:
    """Return the models to collect."""
    if options.source != "samples":
        organization = options.organization or ORGANIZATIONS[options.source]
        return list_models(hub, options.source, options.models, organization)
    if not options.repositories:
        raise UserError("--source samples: name the data sets with --repositories")
    models, tasks = [], set()
    for repository in options.repositories:
        try:
            listing = hub.listing(repository)
        except CollectError as failure:
            raise UserError(
                f"--repositories {repository}: {failure.reason}; check the name, HF_TOKEN and "
                "HF_ENDPOINT"
            ) from failure
        models += in_folders(hub, repository, folders_with_logs(listing))
        tasks |= set(tasks_with_logs(listing))
    for benchmark in benchmarks:
        unknown = sorted(set(benchmark.tasks) - tasks)
        if unknown:
            raise UserError(
                f"--benchmarks: the repositories have no sample log of task '{unknown[0]}'; they "
                f"have {listed(sorted(tasks), 10)}"
            )
    return models


def _progress(bar: tqdm, hub: Hub):
    """Return what shows the progress of a run."""
    files = 0

    def show(what: str) -> None:
        nonlocal files
        if what == "model":
            bar.update()
            return
        files += 1
        bar.set_postfix_str(
            f"{files} files, {hub.traffic.bytes / 1e6:.0f} MB, {hub.traffic.retries} retries"
        )

    return show


def _tell(collection: Collection, hub: Hub, options) -> None:
    """Say what came of it; leave with status 1 when files are pending."""
    states = collection.table.groupby(["benchmark", "state"]).size().unstack(fill_value=0)
    print(states.to_string())
    lost = collection.table[collection.table["state"] != "ok"]
    reasons = lost.groupby(["benchmark", "state", "reason"]).size().sort_values(ascending=False)
    for (benchmark, state, reason), count in reasons.head(10).items():
        print(f"{benchmark} {state}: {count} models: {str(reason)[:160]}")
    if options.record:
        write_record(_record(collection, hub, options, reasons), options.record)
    pending = int((collection.manifest["state"] == "pending").sum())
    if pending and not options.accept_pending:
        print(
            f"itemwise scrape-leaderboard: {pending} files are left pending; run the same command "
            "again",
            file=sys.stderr,
        )
        raise SystemExit(1)


def _record(collection: Collection, hub: Hub, options, reasons) -> dict:
    """Return what was collected, dropped and why."""
    table = collection.table
    return {
        "source": options.source,
        "benchmarks": options.benchmarks,
        "models": int(table["subject"].nunique()),
        "states": [
            {"benchmark": b, "state": s, "models": int(n)}
            for (b, s), n in table.groupby(["benchmark", "state"]).size().items()
        ],
        "dropped": [
            {"benchmark": b, "state": s, "reason": r, "models": int(n)}
            for (b, s, r), n in reasons.items()
        ],
        "items": {c.benchmark: len(c.items) for c in collection.benchmarks},
        "duplicated_items": {
            c.benchmark: int(c.items["duplicate_of"].notna().sum()) for c in collection.benchmarks
        },
        "near_duplicates": [
            {"group": g.name, "subjects": list(g.subjects), "lowest_kappa": g.lowest_kappa}
            for g in collection.groups
        ],
        "without_published_score": int(
            ((table["state"] == "ok") & table["published"].isna()).sum()
        ),
        "traffic": {
            "requests": hub.limiter.requests,
            "bytes": hub.traffic.bytes,
            "retries": hub.traffic.retries,
            "seconds_waited_for_limits": hub.limiter.waited,
        },
    }
