"""Progress of long work on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def fit_progress() -> Iterator[Callable]:
    """Yield a callback that shows an optimiser's log-likelihood and largest gradient."""
    with tqdm(desc="fit_irt", unit=" iterations", mininterval=0.5, disable=None) as bar:

        def show(_iteration, at) -> None:
            bar.update()
            bar.set_postfix(
                log_likelihood=f"{at.log_likelihood:.1f}",
                gradient=f"{abs(at.gradient).max():.2g}",
                refresh=False,
            )

        yield show
