"""A file of the hub as a seekable file object: only the ranges that are read travel."""

from __future__ import annotations

import io

from itemwise.collect.hub import Address, Hub

WHOLE = 1 << 20
"""Files up to this size (bytes) are read by one request."""
TAIL = 1 << 16
"""Least that is read at once (bytes): parquet's footer and index in one request."""
CHUNK = 16 << 20
"""Least that is read at once (bytes) of files that are read from end to end."""
KEPT = 64 << 20
"""Bytes that are kept for reading again."""


class RemoteFile(io.RawIOBase):
    """Read-only, seekable; every range is checked by `Hub`.

    Parameters
    ----------
    hub : Hub
    address : Address
    least : int
        Bytes that a request asks for at least.
    """

    def __init__(self, hub: Hub, address: Address, least: int = TAIL):
        super().__init__()
        self._hub, self._address, self._least = hub, address, least
        self._position = 0
        self._spans: list[tuple[int, bytes]] = []
        self.size = address.file.size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer) -> int:
        """Fill a buffer from the position on."""
        start = self._position
        stop = min(start + len(buffer), self.size)
        if stop <= start:
            return 0
        piece = self._span(start, stop)
        buffer[: len(piece)] = piece
        self._position = stop
        return len(piece)

    def prefetch(self, ranges: list[tuple[int, int]]) -> None:
        """Read ranges ahead, those that lie close together by one request."""
        joined: list[list[int]] = []
        for start, stop in sorted(ranges):
            if joined and start - joined[-1][1] <= self._least:
                joined[-1][1] = max(joined[-1][1], stop)
            else:
                joined.append([start, stop])
        for start, stop in joined:
            self._span(start, min(stop, self.size))

    def _span(self, start: int, stop: int) -> bytes:
        for at, body in self._spans:
            if at <= start and stop <= at + len(body):
                return body[start - at : stop - at]
        if self.size <= WHOLE:
            first, last = 0, self.size
        else:
            first, last = start, min(max(stop, start + self._least), self.size)
        body = self._hub.span(self._address, first, last)
        self._spans.append((first, body))
        while len(self._spans) > 1 and sum(len(b) for _, b in self._spans) > KEPT:
            self._spans.pop(0)
        return body[start - first : stop - first]
