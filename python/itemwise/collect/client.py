"""The client of all requests to the hub: it limits and times them, and classifies failures."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import httpx2
from huggingface_hub.utils._http import hf_request_event_hook

from itemwise.collect.errors import CollectError, RetryableError, RevisionGone
from itemwise.collect.limits import RateLimiter, pause_asked

TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status of failures that may pass."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try.

    Attributes
    ----------
    attempts : int
        Requests for one thing before it is left for another run.
    wait, longest : float
        First and longest wait between two attempts (s); the wait doubles, and a random
        part of up to its half is taken off, so that workers do not come back together.
    connect, read : float
        Time limits for a connection and for the next bytes of an answer (s).
    """

    attempts: int = 6
    wait: float = 1.0
    longest: float = 120.0
    connect: float = 15.0
    read: float = 60.0


class RateLimitedClient(httpx2.Client):
    """The client of all requests: limited, timed, failures classified."""

    def __init__(self, host: str, limiter: RateLimiter, policy: RetryPolicy):
        super().__init__(
            event_hooks={
                "request": [hf_request_event_hook, self._before],
                "response": [self._after],
            },
            follow_redirects=True,
        )
        self._host, self._limiter = host, limiter
        self._limits = httpx2.Timeout(policy.read, connect=policy.connect)
        self._mine = threading.local()

    def send(self, request: httpx2.Request, **options) -> httpx2.Response:
        """Send a request; network failures become `RetryableError`."""
        # huggingface_hub asks for no time limit at all.
        request.extensions["timeout"] = self._limits.as_dict()
        self._mine.kind = None
        try:
            return super().send(request, **options)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            if isinstance(error, httpx2.UnsupportedProtocol):
                raise
            raise RetryableError(f"{type(error).__name__}: {error}" if str(error) else
                            type(error).__name__) from error  # fmt: skip
        finally:
            if self._mine.kind is not None:
                self._limiter.abandon(self._mine.kind)

    def _kind(self, request: httpx2.Request) -> str | None:
        """Return which limit a request counts against; None for storage hosts."""
        if request.url.netloc.decode() != self._host:
            return None
        path = request.url.path
        return "resolve" if "/resolve/" in path or "/api/resolve-cache/" in path else "api"

    def _before(self, request: httpx2.Request) -> None:
        kind = self._kind(request)
        if kind is not None:
            self._limiter.acquire(kind)
        self._mine.kind = kind

    def _after(self, response: httpx2.Response) -> None:
        kind, self._mine.kind = self._mine.kind, None
        if kind is not None:
            self._limiter.observe(kind, response.status_code, response.headers)
        if response.status_code in TRANSIENT:
            # Raised here, so that no layer above tries again by a schedule of its own.
            raise RetryableError(f"HTTP {response.status_code}", pause_asked(response.headers))


def classify(error: Exception) -> CollectError:
    """Return the failure that an error of a call stands for."""
    if isinstance(error, CollectError):
        return error
    response = getattr(error, "response", None)
    if response is None:  # JSON that is cut off or no JSON; keys that are not there
        return RetryableError(f"answer not understood: {type(error).__name__}: {error}")
    status, code = response.status_code, response.headers.get("x-error-code")
    reason = f"HTTP {status}" + (f" {code}" if code else "")
    if code == "RevisionNotFound":
        return RevisionGone(reason)
    if status in (401, 403):
        return CollectError("gated", reason)
    return CollectError("missing", reason)
