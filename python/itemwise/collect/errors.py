"""What goes wrong with a file or a model, by the state that it ends in."""

from __future__ import annotations

STATES = ("ok", "pending", "gated", "missing", "incomplete", "bad_schema", "acc_mismatch")
"""Every state of a file, exactly; `pending` alone is tried again by itself."""

SEVERITY = ("ok", "acc_mismatch", "bad_schema", "incomplete", "missing", "gated", "pending")
"""States from the least to the one that decides for a model and benchmark."""


class CollectError(Exception):
    """A failure with the state that it stands for.

    Parameters
    ----------
    state : str
        One of `STATES`.
    reason : str
        What happened, for the manifest.
    pause : float, optional
        Seconds that the hub asked to wait.
    """

    def __init__(self, state: str, reason: str, pause: float | None = None):
        super().__init__(reason)
        self.state, self.reason, self.pause = state, reason, pause


class RetryableError(CollectError):
    """A failure that another attempt may get past."""

    def __init__(self, reason: str, pause: float | None = None):
        super().__init__("pending", reason, pause)


class Changed(RetryableError):
    """The files of a repository are not those that were listed: list it again."""


class RevisionGone(Changed):
    """The pinned commit is no longer there."""


def most_severe(states) -> str:
    """Return the state that decides among several."""
    return max(states, key=SEVERITY.index)
