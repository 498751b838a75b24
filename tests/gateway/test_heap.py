"""The heap of a long-running program: what the collector looks at, and what is given back."""

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from gateway import heap

KEPT_BY_THREADS = """
import sys, threading
if sys.argv[1] == "bounded":
    from gateway import heap
    heap.bound()

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * 4

def work() -> None:
    # A body and what is made of it: large pieces, each under a small one that outlives it.
    for _ in range(40):
        large = [bytes(400_000) for _ in range(20)]
        kept.append(bytes(1_000))
        del large

kept = []
before = resident()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident() - before)
"""


KEPT_BETWEEN_PIECES = """
from gateway import heap

def resident() -> int:
    return int(open("/proc/self/statm").read().split()[1]) * 4

heap.bound()
# Rows of a bulk, each beside something that stays.
rows = [(bytes(20_000), bytes(600)) for _ in range(2_000)]
kept = [small for _, small in rows]
del rows
before = resident()
heap.trim()
print(before - resident())
"""


@pytest.fixture
def collector() -> Iterator[None]:
    """As it was before, afterwards."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_settle__what_is_there__is_not_looked_at_again(collector: None) -> None:
    built = {"kept": ["to the end"]}
    heap.settle()
    assert not any(seen is built for seen in gc.get_objects())
    assert gc.get_threshold()[0] == heap.COLLECT_EVERY


def test_settle__a_cycle_made_later__is_still_collected(collector: None) -> None:
    heap.settle()
    gc.collect()
    cycle: list[object] = []
    cycle.append(cycle)
    del cycle
    assert gc.collect() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_bound__large_pieces_freed_by_threads__go_back_to_the_system() -> None:
    def kept_kb(how: str) -> int:
        command = [sys.executable, "-c", KEPT_BY_THREADS, how]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert kept_kb("bounded") < min(kept_kb("free") / 2, 6_000)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_trim__freed_between_pieces_that_stay__goes_back_to_the_system() -> None:
    command = [sys.executable, "-c", KEPT_BETWEEN_PIECES]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Forty megabytes were freed; whole pages of them go.
    assert int(found) > 25_000


def test_settle__more_than_once__has_one_thread_that_gives_back(collector: None) -> None:
    heap.settle()
    heap.settle()
    assert [t.name for t in threading.enumerate()].count("heap") <= 1
