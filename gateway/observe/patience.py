"""Questions to what may have stopped answering: a node that froze, a database behind a dead line.

`/readyz` and `/metrics` are asked above all when something is wrong, by probes that wait a few
seconds. A part that says nothing in time is an answer, too; whoever waited for a node's own
time-out would be taken for dead himself.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 2.0
"""Less than any probe waits: Prometheus gives up after 10 s, load balancers after 3 to 5."""


class Silent(Exception):
    """No answer yet; `since_s` seconds ago it was asked."""

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        super().__init__(f"no answer for {since_s:.0f} s")


class Patience(Generic[T]):
    """Asks several questions at once and waits for all of them together. Thread safe.

    Of each question one is under way at a time: as long as it is, nobody asks a second time, so
    that what hangs costs one thread however often it is looked for. The threads are daemons: a
    process that ends does not wait for them.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._under_way: dict[str, tuple[float, Future[T]]] = {}
        self._lock = threading.Lock()

    def ask(self, questions: Mapping[str, Callable[[], T]]) -> dict[str, T | Exception]:
        """The answer to each, what it raised, or Silent."""
        asked = {name: self._begun(name, question) for name, question in questions.items()}
        wait([future for _, future in asked.values()], timeout=self._patience_s)
        return {name: self._outcome(*one) for name, one in asked.items()}

    def _begun(self, name: str, question: Callable[[], T]) -> tuple[float, Future[T]]:
        with self._lock:
            running = self._under_way.get(name)
            if running is not None and not running[1].done():
                return running
            future: Future[T] = Future()
            self._under_way[name] = (time.monotonic(), future)
            begun = self._under_way[name]
        threading.Thread(
            target=_answer, args=(future, question), name=f"ask {name}", daemon=True
        ).start()
        return begun

    def _outcome(self, since: float, future: Future[T]) -> T | Exception:
        if not future.done():
            return Silent(time.monotonic() - since)
        error = future.exception()
        if error is None:
            return future.result()
        return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


def _answer(future: Future[T], question: Callable[[], T]) -> None:
    try:
        future.set_result(question())
    except BaseException as error:
        future.set_exception(error)
