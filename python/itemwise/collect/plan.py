"""What would be asked of the hub, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from itemwise.collect.collector import READERS, Job
from itemwise.collect.errors import CollectError
from itemwise.collect.hub import Hub
from itemwise.collect.limits import PLANS, WINDOW

SAMPLE = 20
"""Repositories that are listed to learn what they hold."""
SMALL_FILE_CALLS = 2
"""Calls for a file that the hub serves itself: it redirects to itself first. A file in
storage costs one call, however many ranges are read."""


@dataclass(frozen=True)
class Plan:
    """What is left to ask.

    Attributes
    ----------
    repositories, listed, unlisted : int
        Left to do; listed for this plan; of those the ones that could not be.
    api_calls, resolve_calls : float
    files : float
    bytes : float
        Of the files that are asked for.
    share : float
        Part of the bytes that is read; 1 where nothing was measured yet.
    """

    repositories: int
    listed: int
    unlisted: int
    api_calls: float
    resolve_calls: float
    files: float
    bytes: float
    share: float

    def hours(self, api: int, resolve: int) -> float:
        """Return the least hours at so many requests a window; the two kinds one by one."""
        return (self.api_calls / api + self.resolve_calls / resolve) * WINDOW / 3600

    def lines(self, stated: dict[str, float] | None = None) -> Iterable[str]:
        """Yield the plan as text."""
        yield f"repositories   {self.repositories:>14,}"
        yield f"files          {self.files:>14,.0f}"
        yield f"gigabytes      {self.bytes * self.share / 1e9:>14,.1f}" + (
            " (whole files: an upper bound)" if self.share == 1 else ""
        )
        yield f"API calls      {self.api_calls:>14,.0f}"
        yield f"file calls     {self.resolve_calls:>14,.0f}"
        yield "hours at least, by plan of the hub:"
        for name, (api, resolve) in PLANS.items():
            yield f"  {name:<12} {self.hours(api, resolve):>14,.1f}"
        if self.listed:
            yield f"from the listings of {self.listed} repositories" + (
                f", of which {self.unlisted} could not be listed" if self.unlisted else ""
            )


def make_plan(hub: Hub, source: str, jobs: list[Job], share: float, sample: int = SAMPLE) -> Plan:
    """Return what is left to ask, extrapolated from some listings.

    Parameters
    ----------
    hub : Hub
    source : {"v1", "v2", "samples"}
    jobs : list of Job
        What is left to do.
    share : float
        Part of the files' bytes that is read.
    sample : int
        Repositories to list.
    """
    step = max(len(jobs) // sample, 1)
    looked = jobs[::step][:sample]
    unlisted, files, calls, size = 0, 0, 0, 0
    for job in looked:
        try:
            listing = hub.listing(job.model.repository)
        except CollectError:
            unlisted += 1
            continue
        reader = READERS[source](hub, job.model, listing)
        asked = {f.path: f for b in job.benchmarks for f in reader.asked(b)}.values()
        files += len(asked)
        size += sum(file.size for file in asked)
        calls += sum(1 if file.sha256 else SMALL_FILE_CALLS for file in asked)
    scale = len(jobs) / len(looked) if looked else 0.0
    return Plan(
        len(jobs),
        len(looked),
        unlisted,
        len(jobs),
        calls * scale,
        files * scale,
        size * scale,
        share,
    )
