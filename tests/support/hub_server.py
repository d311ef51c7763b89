"""A hub on this machine: the HTTP interface of the Hugging Face hub as its client uses it.

Repository information, tree with pages, resolve with redirects (to the hub itself for small
files, to a storage host for large ones), ranges, gated and missing answers, rate limits in
fixed windows with their headers; and on demand faults. Two ports of 127.0.0.1, since the
storage is another host: what reaches it must not carry the token.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_made_up_for_tests"
LARGE = 2000
"""Bytes from which a file lies on the storage host."""
TREE_PAGE = 400
LIST_PAGE = 70
WHOLE_LISTING = 1000
"""Files after which the information of a repository lists no more."""


def git_hash(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@dataclass
class Repository:
    """Commits by hash, each files by path; the last one is the newest."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: dict[str, bytes], squash: bool = False) -> str:
        number = f"{len(self.commits)}{sorted(files)}{sum(map(len, files.values()))}"
        sha = hashlib.sha1(f"{id(self)}{number}".encode()).hexdigest()
        if squash:
            self.commits.clear()
        self.commits[sha] = files
        return sha

    @property
    def newest(self) -> str:
        return list(self.commits)[-1]


@dataclass
class Faults:
    """Shares of answers that go wrong."""

    busy: float = 0.0
    broken: float = 0.0
    short: float = 0.0
    cut: float = 0.0
    seed: int = 1


@dataclass
class Change:
    """A new state of a repository, with its history gone, once a file has been read a little."""

    path: str
    files: dict[str, bytes]


class HubServer:
    """The hub and its storage, each a threaded server on a port of its own.

    Parameters
    ----------
    repositories : dict of Repository
    limits : dict, optional
        Requests a window by kind, and the window (s).
    """

    def __init__(self, repositories, limits=None, window=300.0, faults=None, rate_headers=True):
        self.repositories = repositories
        self.limits = limits or {"api": 10**6, "resolve": 10**6}
        self.window, self.faults, self.rate_headers = window, faults or Faults(), rate_headers
        self.changes: dict[str, Change] = {}
        self.random = random.Random(self.faults.seed)
        self.lock = threading.Lock()
        self.counts: Counter = Counter()
        self.windows: dict[str, tuple[int, int]] = {}
        self.excess = 0
        self.leaked_tokens = 0
        self.agents: set[str] = set()
        self.served_bytes = 0
        self.began = time.monotonic()
        self.blobs: dict[str, bytes] = {}
        self.hub = _Server(self, _HubHandler)
        self.storage = _Server(self, _StorageHandler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.hub.server_address[1]}"

    def __enter__(self) -> HubServer:
        for server in (self.hub, self.storage):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        for server in (self.hub, self.storage):
            server.shutdown()
            server.server_close()

    def admit(self, kind: str) -> tuple[bool, dict[str, str]]:
        """Count a request; say whether it is within the limit, with the headers."""
        with self.lock:
            self.counts[kind] += 1
            elapsed = time.monotonic() - self.began
            number = int(elapsed // self.window)
            current, used = self.windows.get(kind, (number, 0))
            used = used + 1 if current == number else 1
            self.windows[kind] = (number, used)
            limit = self.limits[kind]
            self.excess += used > limit
        if not self.rate_headers:
            return used <= limit, {}
        left = int((number + 1) * self.window - elapsed) + 1
        name = {"resolve": "resolvers"}.get(kind, kind)
        return used <= limit, {
            "RateLimit": f'"{name}";r={max(limit - used, 0)};t={left}',
            "RateLimit-Policy": f'"fixed window";"{name}";q={limit};w={int(self.window)}',
        }

    def misfortune(self) -> str | None:
        """Draw what goes wrong with an answer."""
        with self.lock:
            draw = self.random.random()
        for name in ("busy", "broken", "short", "cut"):
            share = getattr(self.faults, name)
            if draw < share:
                self.counts[name] += 1
                return name
            draw -= share
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, owner: HubServer, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.owner = owner

    def handle_error(self, request, client_address):
        pass  # clients are killed in tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def reply(self, status: int, body: bytes = b"", headers: dict | None = None, fate=None):
        """Send an answer, or what is left of it by a fault."""
        if fate == "cut":
            self.close_connection = True
            self.connection.close()
            return
        sent = body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if fate == "short" and len(body) > 1:
            sent = body[: len(body) // 2]
            # Half of the short bodies are promised whole, half claim to be whole.
            promised = body if self.owner.random.random() < 0.5 else sent
            self.close_connection = True
        else:
            promised = body
        self.send_header("Content-Length", str(len(promised)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
            with self.owner.lock:
                self.owner.served_bytes += len(sent)

    @property
    def owner(self) -> HubServer:
        return self.server.owner

    def ranged(self, body: bytes, headers: dict, fate):
        """Send a file, or the range of it that is asked for."""
        wanted = self.headers.get("Range")
        if wanted is None:
            self.reply(200, body, headers, fate)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, len(body))
        if start >= len(body):
            self.reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            return
        headers = {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
        self.reply(206, body[start:stop], headers, fate)


class _HubHandler(_Handler):
    def do_GET(self):
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        kind = "resolve" if "resolve" in parts or "resolve-cache" in parts else "api"
        self.owner.agents.add(self.headers.get("User-Agent", ""))
        within, headers = self.owner.admit(kind)
        fate = self.owner.misfortune()
        if not within:
            self.reply(429, b"", {**headers, "Retry-After": "1"})
        elif fate == "busy":
            self.reply(429, b"", {**headers, "Retry-After": "0"})
        elif fate == "broken":
            self.reply(self.owner.random.choice((500, 502, 503, 504)), b"oops", headers)
        elif kind == "resolve":
            self.resolve(parts, headers, fate)
        elif parts[:2] == ["api", "datasets"]:
            self.api(parts[2:], query, headers, fate)
        else:
            self.reply(404, b"not here", headers)

    def found(self, repo_id: str, headers: dict) -> Repository | None:
        """Return a repository that the caller may see, else answer."""
        repository = self.owner.repositories.get(repo_id)
        token = self.headers.get("Authorization")
        if token is not None and token != f"Bearer {TOKEN}":
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self.reply(401, b"", {**headers, **message})
        elif repository is None:
            self.reply(404, b"", {**headers, "X-Error-Code": "RepoNotFound"})
        elif repository.gated and token is None:
            self.reply(401, b"", {**headers, "X-Error-Code": "GatedRepo"})
        else:
            return repository
        return None

    def commit(self, repository: Repository, revision: str, headers: dict) -> str | None:
        sha = repository.newest if revision == "main" else revision
        if sha in repository.commits:
            return sha
        self.reply(404, b"", {**headers, "X-Error-Code": "RevisionNotFound"})
        return None

    def api(self, parts, query, headers, fate):
        if not parts:
            self.list(query, headers, fate)
            return
        at = next((n for n, p in enumerate(parts) if p in ("revision", "tree")), len(parts))
        repo_id, rest = "/".join(parts[:at]), parts[at:]
        repository = self.found(repo_id, headers)
        if repository is None:
            return
        sha = self.commit(repository, rest[1] if rest else "main", headers)
        if sha is None:
            return
        files = repository.commits[sha]
        if rest and rest[0] == "tree":
            start = int(query.get("cursor", 0))
            page = [
                {"type": "file", "path": path, "size": len(body), "oid": git_hash(body)}
                | ({"lfs": {"size": len(body), "oid": self.sha256(body), "pointerSize": 130}}
                   if len(body) >= LARGE else {})
                for path, body in sorted(files.items())[start : start + TREE_PAGE]
            ]  # fmt: skip
            if start + TREE_PAGE < len(files):
                following = f"{urlsplit(self.path).path}?recursive=True&cursor={start + TREE_PAGE}"
                headers = {**headers, "Link": f'<{self.owner.endpoint}{following}>; rel="next"'}
            self.json(page, headers, fate)
            return
        siblings = []
        for path, body in sorted(files.items())[:WHOLE_LISTING]:
            entry = {"rfilename": path}
            if query.get("blobs"):
                entry |= {"size": len(body), "blobId": git_hash(body)}
                if len(body) >= LARGE:
                    entry["lfs"] = {
                        "sha256": self.sha256(body), "size": len(body), "pointerSize": 130
                    }  # fmt: skip
            siblings.append(entry)
        info = {
            "id": repo_id, "sha": sha, "createdAt": "2023-08-01T10:00:00.000Z",
            "siblings": siblings, "gated": "auto" if repository.gated else False,
        }  # fmt: skip
        self.json(info, headers, fate)

    def sha256(self, body: bytes) -> str:
        digest = hashlib.sha256(body).hexdigest()
        self.owner.blobs[digest] = body
        return digest

    def list(self, query, headers, fate):
        token = self.headers.get("Authorization")
        if token is not None and token != f"Bearer {TOKEN}":
            self.reply(401, b"", {**headers, "X-Error-Message": "Invalid credentials"})
            return
        author = query.get("author")
        names = [n for n in sorted(self.owner.repositories)
                 if author is None or n.startswith(f"{author}/")]  # fmt: skip
        start, size = (
            int(query.get("cursor", 0)),
            min(int(query.get("limit", LIST_PAGE)), LIST_PAGE),
        )
        page = [{"id": name} for name in names[start : start + size]]
        if start + size < len(names):
            following = f"/api/datasets?author={author}&cursor={start + size}"
            headers = {**headers, "Link": f'<{self.owner.endpoint}{following}>; rel="next"'}
        self.json(page, headers, fate)

    def json(self, content, headers, fate):
        headers = {**headers, "Content-Type": "application/json"}
        self.reply(200, json.dumps(content).encode(), headers, fate)

    def resolve(self, parts, headers, fate):
        cached = parts[:2] == ["api", "resolve-cache"]
        if cached:
            parts = [*parts[2:5], "resolve", *parts[5:]]
        at = parts.index("resolve")
        repo_id, revision, path = "/".join(parts[1:at]), parts[at + 1], "/".join(parts[at + 2 :])
        repository = self.found(repo_id, headers)
        if repository is None:
            return
        sha = self.commit(repository, revision, headers)
        if sha is None:
            return
        body = repository.commits[sha].get(path)
        if body is None:
            self.reply(404, b"", {**headers, "X-Error-Code": "EntryNotFound"})
            return
        headers = {**headers, "X-Repo-Commit": sha}
        if len(body) >= LARGE:
            digest = self.sha256(body)
            port = self.owner.storage.server_address[1]
            place = f"http://127.0.0.1:{port}/{digest}?repository={repo_id}&path={at}"
            linked = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(body))}
            self.reply(302, b"", {**headers, **linked, "Location": place}, fate)
        elif not cached:
            place = self.path.replace("/datasets/", "/api/resolve-cache/datasets/", 1)
            place = place.replace("/resolve/", "/", 1)
            tag = {"ETag": f'"{git_hash(body)}"'}
            self.reply(307, b"", {**headers, **tag, "Location": place}, fate)
        else:
            self.ranged(body, {**headers, "ETag": f'"{git_hash(body)}"'}, fate)


class _StorageHandler(_Handler):
    def do_GET(self):
        owner = self.owner
        owner.leaked_tokens += self.headers.get("Authorization") is not None
        with owner.lock:
            owner.counts["storage"] += 1
        url = urlsplit(self.path)
        digest = url.path.strip("/")
        body = owner.blobs.get(digest)
        fate = owner.misfortune()
        if body is None:
            self.reply(404, b"gone")
            return
        if fate in ("busy", "broken"):
            self.reply(503, b"slow down")
            return
        repo_id = parse_qs(url.query)["repository"][0]
        change = owner.changes.get(repo_id)
        if change is not None:
            repository = owner.repositories[repo_id]
            watched = repository.commits[repository.newest].get(change.path)
            if watched is not None and hashlib.sha256(watched).hexdigest() == digest:
                del owner.changes[repo_id]
                repository.commit(change.files, squash=True)
                owner.blobs.pop(digest)
                owner.counts["changed"] += 1
        self.ranged(body, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}, fate)
