"""How many requests a hub allows, and waiting until the next one may be sent.

The hub counts requests in fixed windows, apart for its API and for files. It says in
every answer how many are left and when the window ends (`RateLimit: "api";r=9;t=31`);
what it says holds before what was configured, whichever is less.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from huggingface_hub.utils import parse_ratelimit_headers

from itemwise.errors import UserError

KINDS = ("api", "resolve")
WINDOW = 300.0
"""Length of the hub's windows (s)."""

PLANS = {
    "anonymous": (500, 3000),
    "free": (1000, 5000),
    "pro": (2500, 12000),
    "team": (3000, 20000),
    "enterprise": (6000, 50000),
}
"""Requests a window (API, files) by plan: the hub's documentation of September 2025."""


@dataclass(frozen=True)
class Limit:
    """So many requests in any so many seconds."""

    requests: int
    seconds: float = WINDOW


def plan_limits(plan: str) -> dict[str, Limit]:
    """Return the limits of a plan by kind of request."""
    return {kind: Limit(count) for kind, count in zip(KINDS, PLANS[plan], strict=True)}


def parse_limits(texts: list[str], limits: dict[str, Limit]) -> dict[str, Limit]:
    """Return limits with those replaced that `kind=requests/seconds` states.

    Raises
    ------
    UserError
        A text is no limit.
    """
    limits = dict(limits)
    for text in texts:
        kind, _, value = text.partition("=")
        count, _, seconds = value.partition("/")
        try:
            stated = Limit(int(count), float(seconds or WINDOW))
        except ValueError:
            stated = Limit(0)
        if kind not in KINDS or stated.requests < 1 or not stated.seconds > 0:
            raise UserError(
                f"--limits: '{text}' is no limit; write api=500/300 or resolve=3000/300 "
                "(requests/seconds)"
            )
        limits[kind] = stated
    return limits


@dataclass
class _Window:
    """What is known of one kind of request."""

    limit: Limit
    answered: deque = field(default_factory=deque)
    in_flight: int = 0
    left: float | None = None  # None: the hub has not said yet
    ends: float = 0.0
    closed_until: float = 0.0


class RateLimiter:
    """One limiter for all workers; every request of the process passes it.

    Three bounds hold together. By our own log, never more than the limit in any window's
    length: a request counts from its sending until a window after its answer, since the
    hub counted it in between. Never more than the hub says are left, less those under way.
    Nothing before the end of a pause that the hub asked for. Until the hub has spoken, and
    after the end of each of its windows, one request goes alone, so that a process that
    starts in the middle of a window (after a kill, say) does not exceed it.

    Parameters
    ----------
    limits : dict
        Limit of each kind.
    clock, sleep : callable
        Monotonic seconds: a wall clock that is set back changes nothing.
    """

    def __init__(
        self,
        limits: dict[str, Limit],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ):
        self._clock, self.sleep = clock, sleep
        self._windows = {kind: _Window(limit) for kind, limit in limits.items()}
        self._lock = threading.Lock()
        self.requests = dict.fromkeys(limits, 0)
        self.waited = 0.0

    def acquire(self, kind: str) -> None:
        """Wait until a request may be sent, and count it."""
        while True:
            with self._lock:
                wait = self._wait(self._windows[kind], self._clock())
                if wait <= 0:
                    self._count(kind)
                    return
            self.waited += wait
            self.sleep(wait)

    def observe(self, kind: str, status: int, headers: Mapping[str, str]) -> None:
        """Take note of an answer."""
        stated = parse_ratelimit_headers(headers)
        pause = pause_asked(headers)
        with self._lock:
            window, now = self._windows[kind], self._clock()
            window.in_flight -= 1
            window.answered.append(now)
            if stated is None:
                if window.left is None:
                    window.left, window.ends = float("inf"), float("inf")
            else:
                # The seconds are rounded: one more, as huggingface_hub does.
                ends = now + stated.reset_in_seconds + 1
                left = stated.remaining - window.in_flight
                # Answers of one window may overtake each other: the least counts.
                same = window.left is not None and now < window.ends
                window.left = min(window.left, left) if same else left
                window.ends = min(window.ends, ends) if same else ends
            if status == 429 and pause is not None:
                window.closed_until = max(window.closed_until, now + pause)

    def abandon(self, kind: str) -> None:
        """Take note that a request got no answer."""
        with self._lock:
            self._windows[kind].in_flight -= 1
            self._windows[kind].answered.append(self._clock())

    def _count(self, kind: str) -> None:
        window = self._windows[kind]
        window.in_flight += 1
        if window.left is not None:
            window.left -= 1
        self.requests[kind] += 1

    @staticmethod
    def _wait(window: _Window, now: float) -> float:
        """Return the seconds to wait; 0 when a request may be sent."""
        if now < window.closed_until:
            return window.closed_until - now
        while window.answered and window.answered[0] <= now - window.limit.seconds:
            window.answered.popleft()
        if len(window.answered) + window.in_flight >= window.limit.requests:
            first = window.answered[0] + window.limit.seconds - now if window.answered else 0.0
            return max(first, 0.01)
        if window.left is not None and now >= window.ends:
            window.left = None
        if window.left is None:
            return 0.01 if window.in_flight else 0.0
        if window.left < 1:
            return max(window.ends - now, 1e-3)
        return 0.0


def pause_asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait, None where it asks for nothing.

    A date in `Retry-After` is read against the answer's own `Date`, not our clock.
    """
    value = (headers.get("retry-after") or "").strip()
    if value.isdigit():
        return float(value)
    if value and headers.get("date"):
        try:
            wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
        except (TypeError, ValueError):
            return None
        return max(wait.total_seconds(), 0.0)
    stated = parse_ratelimit_headers(headers)
    if stated is not None and stated.remaining == 0:
        return float(stated.reset_in_seconds) + 1
    return None
