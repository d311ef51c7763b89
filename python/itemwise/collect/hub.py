"""Repositories and files of the hub, through huggingface_hub; nothing else talks to it.

Endpoint and token come from the usual variables (`HF_ENDPOINT`, `HF_TOKEN`). Every
request, those that huggingface_hub makes by itself included, passes the client of
`client`; every body is checked against the length that was promised.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_token, hf_hub_url, set_client_factory
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import (
    build_hf_headers,
    get_session,
    hf_raise_for_status,
)

from itemwise.collect.client import RateLimitedClient, RetryPolicy, classify
from itemwise.collect.errors import Changed, CollectError, RetryableError
from itemwise.collect.limits import RateLimiter
from itemwise.errors import UserError

REFUSED = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.TooManyRedirects)
WHOLE_LISTING = 1000
"""Files from which the listing within a repository's information may be cut short
(huggingface_hub's own threshold)."""
MOST_REDIRECTS = 5
LONGEST_PAUSE = 3600.0
"""Longest pause (s) that a hub may ask for within one run."""


@dataclass(frozen=True)
class HubFile:
    """A file as the hub lists it: bytes, and the hash that names its content."""

    path: str
    size: int
    sha256: str | None
    blob: str | None

    @property
    def hash(self) -> str:
        """The hash that the hub gives as entity tag: SHA-256 if stored apart, else git's."""
        return self.sha256 or self.blob or ""


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    repository: str
    revision: str
    files: dict[str, HubFile]


@dataclass
class Traffic:
    """What was asked of the hub so far."""

    bytes: int = 0
    retries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **counts: int) -> None:
        """Add to the counts."""
        with self.lock:
            for name, count in counts.items():
                setattr(self, name, getattr(self, name) + count)


class Hub:
    """Repositories and files of one hub.

    Parameters
    ----------
    limiter : RateLimiter
        Shared by all workers.
    policy : RetryPolicy
    endpoint : str, optional
        Default: `HF_ENDPOINT`, else huggingface.co.
    contact : str, optional
        Who collects, sent to the hub.

    Raises
    ------
    UserError
        The endpoint is no address.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        policy: RetryPolicy,
        endpoint: str | None = None,
        contact: str | None = None,
    ):
        stated = endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
        self.endpoint = stated.rstrip("/")
        address = urlsplit(self.endpoint)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise UserError(
                f"HF_ENDPOINT: '{self.endpoint}' is no address; write https://host, or unset it"
            )
        self.limiter, self.policy = limiter, policy
        self.token = get_token() is not None
        self.traffic = Traffic()
        self._pause: Callable[[float], object] = time.sleep
        self._thread = threading.local()
        self._random = random.Random()
        self._identity = {
            "library_name": "itemwise",
            "library_version": version("itemwise"),
            "user_agent": {"contact": contact} if contact else None,
        }
        self._api = HfApi(endpoint=self.endpoint, **self._identity)
        set_client_factory(lambda: RateLimitedClient(address.netloc, limiter, policy))
        # The manifest alone reports failures.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

    def on_pause(self, pause: Callable[[float], object]) -> None:
        """Wait by a function, which may raise to stop a worker."""
        self._pause = self.limiter.sleep = pause

    def wait_before(self, attempt: int) -> None:
        """Wait before an attempt, longer each time."""
        wait = min(self.policy.wait * 2 ** (attempt - 1), self.policy.longest)
        self._pause(wait * self._random.uniform(0.5, 1.0))

    def take_failures(self) -> tuple[int, str | None]:
        """Return how often this thread tried again since it last asked, and why."""
        reasons = getattr(self._thread, "failures", [])
        self._thread.failures = []
        counts = Counter(reasons).most_common(5)
        return len(reasons), "; ".join(f"{reason} ({n})" for reason, n in counts) or None

    def bytes_of_thread(self) -> int:
        """Return the bytes of files that this thread read."""
        return getattr(self._thread, "bytes", 0)

    def check(self) -> None:
        """Ask one small question, so that a wrong address or token is known at once.

        Raises
        ------
        UserError
            Nobody answers, what answers is no hub, or it refuses the token.
        """
        try:
            self._with_retries(lambda: list(self._api.list_datasets(limit=1)))
        except OfflineModeIsEnabled as error:
            raise UserError("HF_HUB_OFFLINE is set; unset it to collect from the hub") from error
        except RetryableError as error:
            raise UserError(
                f"{self.endpoint}: does not answer ({error.reason}); check HF_ENDPOINT and the "
                "network"
            ) from error
        except CollectError as error:
            refused = error.state == "gated"
            what = "refuses the token" if refused else "is no hub"
            remedy = "set a valid HF_TOKEN, or none" if refused else "check HF_ENDPOINT"
            raise UserError(f"{self.endpoint}: {what} ({error.reason}); {remedy}") from error

    def organization(self, name: str) -> list[str]:
        """Return the data sets of an organization, sorted."""
        return sorted(
            self._with_retries(lambda: [d.id for d in self._api.list_datasets(author=name)])
        )

    def listing(self, repository: str, revision: str | None = None) -> Listing:
        """Return a repository's files at a commit, by default the newest.

        One request where the repository is small: its information names the commit and
        the files at once, so that both are of the same moment.

        Raises
        ------
        CollectError
        """
        info = self._with_retries(
            lambda: self._api.dataset_info(repository, revision=revision, files_metadata=True)
        )
        found = [
            HubFile(s.rfilename, s.size, s.lfs.sha256 if s.lfs else None, s.blob_id)
            for s in info.siblings or []
            if s.size is not None
        ]
        if not info.sha:
            raise CollectError("bad_schema", "the repository's information names no commit")
        if not found or len(info.siblings) >= WHOLE_LISTING or len(found) < len(info.siblings):
            found = self._with_retries(lambda: self._tree(repository, info.sha))
        return Listing(repository, info.sha, {f.path: f for f in found})

    def _tree(self, repository: str, revision: str) -> list[HubFile]:
        entries = self._api.list_repo_tree(
            repository, recursive=True, revision=revision, repo_type="dataset"
        )
        return [
            HubFile(e.path, e.size, e.lfs.sha256 if e.lfs else None, e.blob_id)
            for e in entries
            if hasattr(e, "size")
        ]

    def read(self, repository: str, revision: str, file: HubFile) -> bytes:
        """Return a whole small file, its length and hash checked.

        Raises
        ------
        CollectError
        """
        return self._with_retries(lambda: self._read_once(repository, revision, file))

    def _read_once(self, repository: str, revision: str, file: HubFile) -> bytes:
        if not file.size:
            return b""
        body = self.fetch(Address(repository, revision, file), 0, file.size)
        if not _same_content(body, file):
            raise RetryableError(f"{file.path}: the content has another hash than was listed")
        return body

    def span(self, address: Address, start: int, stop: int) -> bytes:
        """Return bytes `start` to `stop` of a file, tried patiently.

        Raises
        ------
        CollectError
        """
        return self._with_retries(lambda: self.fetch(address, start, stop))

    def fetch(self, address: Address, start: int, stop: int) -> bytes:
        """Return bytes of a file by one try: where it lies, then the bytes."""
        file = address.file
        headers = build_hf_headers(**self._identity) | {"Accept-Encoding": "identity"}
        if (start, stop) != (0, file.size):
            headers["Range"] = f"bytes={start}-{stop - 1}"
        url = address.stored or hf_hub_url(
            address.repository,
            file.path,
            repo_type="dataset",
            revision=address.revision,
            endpoint=self.endpoint,
        )
        for _ in range(MOST_REDIRECTS):
            elsewhere = urlsplit(url).netloc != urlsplit(self.endpoint).netloc
            if elsewhere:
                headers.pop("authorization", None)  # the token is the hub's alone
            response = get_session().get(url, headers=headers, follow_redirects=False)
            if not elsewhere:
                self._check_pinned(response, address)
            if not response.has_redirect_location:
                break
            url = urljoin(url, response.headers["location"])
        if elsewhere and response.status_code in (401, 403, 404, 410):
            address.stored = None
            raise RetryableError(f"HTTP {response.status_code} from the storage host")
        if response.status_code == 416:
            raise Changed(f"{file.path}: shorter than the {file.size} bytes listed")
        hf_raise_for_status(response)
        body = _checked_body(response, file, start, stop)
        tag = _plain_tag(response.headers.get("etag"))
        if elsewhere:
            if address.tag is not None and tag != address.tag:
                raise Changed(f"{file.path}: changed between two reads")
            # Signed addresses hold for a while: further ranges need no call of the hub.
            address.stored, address.tag = url, tag
        self.traffic.add(bytes=len(body))
        self._thread.bytes = self.bytes_of_thread() + len(body)
        return body

    @staticmethod
    def _check_pinned(response: httpx2.Response, address: Address) -> None:
        """Refuse an answer of another commit, or of another content than was listed."""
        if response.status_code >= 400:
            return
        commit = response.headers.get("x-repo-commit")
        if commit is not None and commit != address.revision:
            raise Changed(f"{address.file.path}: answered from commit {commit[:12]}")
        tag = response.headers.get("x-linked-etag") or response.headers.get("etag")
        if tag is not None and address.file.hash and _plain_tag(tag) != address.file.hash:
            raise Changed(f"{address.file.path}: changed since it was listed")

    def _with_retries(self, call: Callable):
        """Make a call, again after failures that may pass, as often as the policy says."""
        policy = self.policy
        for attempt in range(1, policy.attempts + 1):
            try:
                return call()
            except (HFValidationError, *REFUSED) as error:
                raise CollectError("missing", f"{type(error).__name__}: {error}") from error
            except (HfHubHTTPError, CollectError, ValueError, KeyError, TypeError) as error:
                failure = classify(error)
                final = not isinstance(failure, RetryableError) or isinstance(failure, Changed)
                if final or attempt == policy.attempts:
                    raise failure from error
            self.traffic.add(retries=1)
            self._thread.failures = [*getattr(self._thread, "failures", []), failure.reason]
            # The hub's word counts for more, but not without end: then another run is due.
            if (failure.pause or 0) > LONGEST_PAUSE:
                raise failure
            if failure.pause is not None:
                self._pause(failure.pause)
            self.wait_before(attempt)
        raise AssertionError("unreachable")


@dataclass
class Address:
    """Where a file is read: pinned, and once known the storage address and its tag."""

    repository: str
    revision: str
    file: HubFile
    stored: str | None = None
    tag: str | None = None


def _checked_body(response: httpx2.Response, file: HubFile, start: int, stop: int) -> bytes:
    """Return exactly the bytes asked for, or say that they are not."""
    body = response.content
    if response.status_code == 206:
        stated = response.headers.get("content-range", "")
        if stated.rpartition("/")[2] not in ("*", str(file.size)):
            raise Changed(f"{file.path}: '{stated}', but {file.size} bytes were listed")
        if not stated.startswith(f"bytes {start}-"):
            raise RetryableError(f"{file.path}: got '{stated}', asked from byte {start}")
    elif len(body) == file.size:
        body = body[start:stop]
    if len(body) != stop - start:
        raise RetryableError(f"{file.path}: {len(body)} of {stop - start} bytes came")
    return body


def _same_content(body: bytes, file: HubFile) -> bool:
    """Whether a whole file has the hash that was listed."""
    if file.sha256:
        return hashlib.sha256(body).hexdigest() == file.sha256
    if file.blob and len(file.blob) == 40:
        return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest() == file.blob
    return True


def _plain_tag(tag: str | None) -> str | None:
    """Return an entity tag without quotes and weakness."""
    return None if tag is None else tag.removeprefix("W/").strip('"')
