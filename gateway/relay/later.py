"""Parts of a scan that keep each other waiting for nothing: what one of them met is raised when all
have had their turn.

A key that does not sign must not stop what is signed from being sent, nor a transaction that a node
does not answer to stop the news of others from being read: the next scan would meet the same.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.errors import BookBehindChain, Closed, LeaseLost, ReorgBelowFinality, WrongChain

log = logging.getLogger(__name__)

AT_ONCE: Final = (LeaseLost, Closed, WrongChain, ReorgBelowFinality, BookBehindChain)
"""What ends the scan where it is: nothing may be written or sent any more."""


class Later:
    """Keeps the first error of several parts."""

    def __init__(self) -> None:
        self._first: Exception | None = None

    @contextmanager
    def part(self) -> Iterator[None]:
        """One part; raises only what ends the scan."""
        try:
            yield
        except AT_ONCE:
            raise
        except Exception as error:
            if self._first is None:
                self._first = error
            else:
                log.warning("and: %s", error)

    def raise_first(self) -> None:
        """Raises what the first part met that met anything."""
        if self._first is not None:
            raise self._first
