"""The chain that the mirror's benchmark reads: our contracts on anvil, batches of 200 to members
known by address alone, and a few who spend and give.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/indexer"))

from anvil_network import AnvilNetwork, anvil, key

from wallet_sdk.types import Policy, address_of

MERCHANTS = 9
MEMBERS = 20_000
ENTRIES = 200
SPENDERS = [f"spender {number}" for number in range(40)]


@contextlib.contextmanager
def network(blocks: int, seed: int = 1) -> Iterator[AnvilNetwork]:
    """A network with `blocks` blocks of one batch each, every tenth with redemptions and
    transfers besides.
    """
    with tempfile.TemporaryDirectory(prefix="banyan-bench-") as folder, anvil(Path(folder)) as url:
        found = AnvilNetwork.deploy(url, policy=Policy.OPEN)
        for merchant in range(1, MERCHANTS + 1):
            found.fund(merchant, 10**13)
        found.mine()
        rng = random.Random(seed)
        members = [address_of(rng.randbytes(20)) for _ in range(MEMBERS)]
        for number in range(blocks):
            batch(found, rng, members, number)
            found.mine()
        yield found
        found.rpc.close()


def batch(n: AnvilNetwork, rng: random.Random, members: list[str], number: int) -> None:
    """One block's acts."""
    entries = [(member, rng.randint(1, 999)) for member in rng.sample(members, ENTRIES)]
    if number % 10 == 0:
        # Those who spend earn first, in the same block.
        entries[: len(SPENDERS)] = [(key(name).address, 500) for name in SPENDERS]
    n.issue(number % MERCHANTS + 1, entries)
    if number % 10 == 0:
        for name in rng.sample(SPENDERS, 5):
            n.redeem(name, rng.randint(1, MERCHANTS), rng.randint(1, 100))
        giver, receiver = rng.sample(SPENDERS, 2)
        n.transfer(giver, receiver, 50)
