"""A network on PostgreSQL and a plain node, with relays in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from gateway import faults
from gateway.errors import NotReady
from gateway.model import Accepted, Member, Merchant, NewMerchant, NewOrder, OrderKind
from gateway.service import Gateway
from gateway.settings import Settings
from gateway.tables import attempts, batches, members, merchants, nonce_slots, orders
from indexer import audit
from indexer.errors import MirrorBusy
from indexer.sync import Indexer
from tests.gateway.deployed import deployed, end_sessions
from tests.gateway.helpers import fresh
from tests.gateway.node import anvil
from wallet_sdk.rpc import Rpc

CONFIRMATIONS = 2
# Nothing moves for so long: it hangs. A busy machine takes its time over every step, and gets it...
STILL_MAX_S = 60.0
# ... but what only moves in circles does not come to its end.
WAIT_MAX_S = 900.0


class Zygote:
    """Forks relay processes; ends all of them with itself."""

    def __init__(self) -> None:
        root = Path(faults.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("relay_zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        self._pids: list[int] = []

    def fork(self, settings: dict[str, Any], url: str, fault: str = "") -> int:
        """A relay with these settings; returns its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([settings, url, fault]) + "\n")
        self._process.stdin.flush()
        self._pids.append(int(self._process.stdout.readline()))
        return self._pids[-1]

    def close(self) -> None:
        """Ends every relay that still runs, then the program."""
        for pid in self._pids:
            if state_of(pid) not in ("gone", "Z"):
                os.kill(pid, signal.SIGKILL)
        self._process.communicate(timeout=20)


def state_of(pid: int) -> str:
    """The kernel's letter: T is stopped, Z dead and not yet buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


@dataclass
class RelayTown:
    """Accepts here, relays elsewhere. `follow` mines and mirrors while it is entered."""

    url: str
    node: Rpc
    settings: Settings
    gateway: Gateway
    indexer: Indexer
    zygote: Zygote
    # Of the relay processes; this one keeps the default, so that a busy machine ends no session of
    # its own.
    lease_s: float
    baker: Merchant = field(init=False)
    people: list[Member] = field(init=False)
    issued: int = 0

    def relay(self, fault: str = "", **settings: Any) -> int:
        """Starts a relay process; returns its pid."""
        given = {
            "data_dir": str(self.settings.data_dir),
            "orders_url": self.settings.orders_dsn,
            "mirror_url": self.settings.mirror_dsn,
            "finality": CONFIRMATIONS,
            "fee_cap_wei": 0,
            "relay_interval_s": 0.05,
            "lease_s": self.lease_s,
            "relayers": self.settings.relayers,
        }
        return self.zygote.fork(given | settings, self.url, fault)

    def issue(self, count: int) -> None:
        """Accepts `count` issues of ten points, one a member in turn."""
        lines = [
            NewOrder(
                OrderKind.ISSUE, self.people[n % len(self.people)].id, 10, fresh("r"), self.baker.id
            )
            for n in range(count)
        ]
        key = fresh("k")
        try:
            answers = self.gateway.accept_many(lines, idempotency_key=key)
        except Exception:
            # What a client does after a 500 or no answer: the same again, under the same key.
            answers = self.gateway.accept_many(lines, idempotency_key=key)
        assert all(isinstance(answer, Accepted) for answer in answers)
        self.issued += count

    def forget_after(self, newest: dict[str, int]) -> None:
        """What was written after `newest` (row numbers by table) is lost, as after a restore."""
        with self.gateway.database.write() as connection:
            lost = select(func.count()).where(
                batches.c.id > newest["batches"], batches.c.merchant_id == self.baker.number
            )
            again = merchants.c.next_nonce - connection.execute(lost).scalar_one()
            connection.execute(merchants.update().values(next_nonce=again))
            for table in (orders, batches, nonce_slots, attempts):
                connection.execute(table.delete().where(table.c.id > newest[table.name]))

    def newest_rows(self) -> dict[str, int]:
        """The highest row number of each table that grows."""
        with self.gateway.database.read() as connection:
            return {
                table.name: connection.execute(select(func.max(table.c.id))).scalar_one()
                for table in (orders, batches, nonce_slots, attempts)
            }

    def end_sessions(self) -> None:
        """Ends every session at the database but the one that asks."""
        end_sessions(self.gateway.database.engine)

    def reconciled(self) -> dict[str, Any]:
        """What `banyan reconcile` finds, once nothing is on its way any more."""
        until = time.monotonic() + STILL_MAX_S
        while True:
            try:
                return self.gateway.reconciler.run("the operator").content()
            except NotReady:
                assert time.monotonic() < until
                time.sleep(0.1)

    def is_final(self) -> bool:
        """Whether every order has come to its good end."""
        states = self.gateway.orders_by_state()
        return states["final"] == self.issued + len(self.people)

    def wait(self, what: Callable[[], bool], why: str = "it did not come") -> None:
        """Waits for as long as orders move; `why` is said where they stand still without `what`."""
        began = moved_at = time.monotonic()
        before: object = None
        while not what():
            moved = self.gateway.orders_by_state(), self.newest_rows()
            now = time.monotonic()
            if moved != before:
                moved_at, before = now, moved
            assert now - moved_at < STILL_MAX_S, (why, moved)
            assert now - began < WAIT_MAX_S, (why, moved)
            time.sleep(0.05)

    def wait_until_final(self) -> None:
        """Waits until every order has come to its good end."""
        self.wait(self.is_final, "some orders stand still")

    @contextmanager
    def following(self, pause_s: float = 0.05) -> Iterator[None]:
        """Blocks come and the mirror follows, in a thread."""
        stopping = threading.Event()

        def follow() -> None:
            while not stopping.wait(pause_s):
                self.node.call("evm_mine", [])
                # A session that was ended is opened again by the next attempt.
                with suppress(SQLAlchemyError, MirrorBusy):
                    self.indexer.run_once()

        thread = threading.Thread(target=follow, name="follow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def check(self) -> None:
        """The oracle: every order exactly once, nothing held, mirror = chain."""
        assert self.is_final(), self.gateway.orders_by_state()
        assert self.gateway.network.total_supply() == 10 * self.issued
        with self.gateway.database.read() as connection:
            assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
            assert connection.execute(select(func.sum(members.c.held))).scalar_one() == 0
        self.indexer.run_once()
        found = audit.check(self.gateway.mirror, self.url, self.gateway.deployment)
        assert found.holds, found


@contextmanager
def open_town(
    folder: Path, postgres_url: str, *, lease_s: float, **given: Any
) -> Iterator[RelayTown]:
    """A deployed network with a funded baker and four members, at rest, nobody relaying."""
    secret = SecretStr(postgres_url)
    settings = Settings(
        data_dir=folder,
        orders_url=secret,
        mirror_url=secret,
        finality=CONFIRMATIONS,
        fee_cap_wei=0,
        **given,
    )
    with ExitStack() as stack:
        url, _ = stack.enter_context(anvil(int(time.time()) - 60))
        node, mirror_from = stack.enter_context(Rpc(url)), stack.enter_context(Rpc(url))
        network = stack.enter_context(deployed(settings, node, mirror_from))
        gateway = network.gateway
        zygote = Zygote()
        town = RelayTown(url, node, settings, gateway, network.indexer, zygote, lease_s)
        try:
            town.baker = gateway.onboard_merchants(
                [NewMerchant("Baker", "baker", deposit=10**9)], mine=network.mine
            )[0]
            found = gateway.ensure_members([f"card-{n}" for n in range(4)])
            town.people = list(found.values())
            gateway.drain(mine=network.mine)
            # Nobody here relays from now on: what it held is free at once.
            gateway.relay.stop()
            yield town
        finally:
            zygote.close()
