"""What a running gateway tells Prometheus: how much waits, for how long, and how far behind.

Gauges are read from the order book when they are asked for, so that they are true whichever of
several processes answers; counters are of this process.
"""

import shutil
import time
from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from gateway.codes import AttemptState, BatchState, State, has, lives
from gateway.observe import counters
from gateway.observe.patience import Patience
from gateway.relay import incidents, status
from gateway.service import Gateway
from gateway.tables import attempts, batches, nonce_slots, orders
from gateway.webhooks import queue

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The registry of one gateway process."""

    def __init__(self, gateway: Gateway, patience: Patience[Any] | None = None) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_OrderBook(gateway, patience or Patience()))
        for counter in counters.ALL:
            self.registry.register(counter)
        self.requests = Counter(
            "banyan_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "banyan_request_seconds",
            "Seconds until the answer, by route.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return bytes(generate_latest(self.registry))


class _OrderBook(Collector):
    def __init__(self, gateway: Gateway, patience: Patience[Any]) -> None:
        self._gateway = gateway
        self._patience = patience

    def collect(self) -> Iterable[Metric]:
        """Gauges of the order book, the relay and the mirror, as they are now."""
        yield from self._waiting()
        yield from self._webhooks()
        yield from self._lag()
        yield from self._relay()
        free = shutil.disk_usage(self._gateway.settings.data_dir).free
        yield _gauge("banyan_disk_free_bytes", "Free where the data folder lies.", free)

    def _waiting(self) -> Iterable[Metric]:
        now = self._gateway.clock.now()
        with self._gateway.database.read() as connection:
            waiting, oldest = connection.execute(
                select(func.count(), func.min(orders.c.accepted_at)).where(
                    has(orders.c.state, State.ACCEPTED)
                )
            ).one()
            by_state = connection.execute(
                select(batches.c.state, func.count(), func.sum(batches.c.order_count))
                .where(lives(batches.c.state))
                .group_by(batches.c.state)
            ).all()
            oldest_batch = connection.execute(
                select(func.min(batches.c.created_at)).where(lives(batches.c.state))
            ).scalar_one()
            held_back = connection.execute(
                select(func.count()).where(
                    lives(batches.c.state),
                    has(batches.c.state, BatchState.OPEN),
                    batches.c.reason.is_not(None),
                )
            ).scalar_one()
            slots = connection.execute(
                select(func.count()).where(lives(nonce_slots.c.state))
            ).scalar_one()
            unmined = connection.execute(
                select(func.count()).where(
                    lives(attempts.c.state), ~has(attempts.c.state, AttemptState.MINED)
                )
            ).scalar_one()
        moving = sum(int(row[2] or 0) for row in by_state)
        yield _gauge("banyan_orders_waiting", "Accepted orders in no batch yet.", waiting)
        yield _gauge("banyan_orders_moving", "Orders inside live batches.", moving)
        ages = [now - since for since in (oldest, oldest_batch) if since is not None]
        yield _gauge(
            "banyan_oldest_open_seconds",
            "Age of the oldest order or batch that is not final.",
            max(ages, default=0),
        )
        yield _gauge("banyan_batches_live", "Batches not final.", sum(row[1] for row in by_state))
        yield _gauge("banyan_batches_held_back", "Batches that a key will not sign.", held_back)
        yield _gauge("banyan_slots_live", "Nonces of relayers in flight.", slots)
        yield _gauge("banyan_attempts_unmined", "Signed transactions in no block.", unmined)

    def _relay(self) -> Iterable[Metric]:
        """Incidents, and what each relayer holds and waits for."""
        with self._gateway.database.read() as connection:
            closed = incidents.closing(connection) is not None
            open_now = incidents.counts(connection)
            lines = status.lines(connection, self._gateway.clock.now())
        yield _gauge("banyan_relay_stopped", "1: closed until it is reconciled.", closed)
        counted = GaugeMetricFamily("banyan_incidents_open", "Open incidents.", labels=["kind"])
        for kind, count in open_now.items():
            counted.add_metric([kind], count)
        yield counted
        for name, key, meaning in (
            ("banyan_relayer_balance_wei", "balance_wei", "Coin of a relayer, wei."),
            ("banyan_relayer_in_flight", "in_flight", "Nonces of an account in no block yet."),
            ("banyan_relayer_oldest_seconds", "oldest_waits_s", "Age of the oldest of them."),
        ):
            family = GaugeMetricFamily(name, meaning, labels=["relayer"])
            for line in lines:
                if line[key] is not None:
                    family.add_metric([line["relayer"]], float(line[key]))
            yield family

    def _webhooks(self) -> Iterable[Metric]:
        with self._gateway.database.read() as connection:
            count, oldest = queue.waiting(connection, int(time.time()))
        yield _gauge("banyan_webhooks_waiting", "Events that a receiver has not taken yet.", count)
        overdue = 0 if oldest is None else max(time.time() - oldest, 0)
        yield _gauge(
            "banyan_webhooks_overdue_seconds",
            "How long the oldest that is due to an end point in good health has waited.",
            overdue,
        )

    def _lag(self) -> Iterable[Metric]:
        """How far the mirror is behind the chain; left out where either does not answer in time,
        so that everything else is told even then.
        """
        network, books = self._gateway.network, self._gateway.books
        heads = self._patience.ask({"chain": network.head, "mirror": books.head})
        chain, mirror = heads["chain"], heads["mirror"]
        if isinstance(chain, Exception) or isinstance(mirror, Exception):
            return
        yield _gauge("banyan_chain_block", "The node's newest block.", chain.number)
        if mirror is not None:
            yield _gauge("banyan_mirror_block", "The mirror's newest block.", mirror.number)
            behind = max(chain.number - mirror.number, 0)
            yield _gauge("banyan_mirror_lag_blocks", "Blocks the mirror is behind.", behind)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))
