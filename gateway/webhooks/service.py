"""End points: made, changed, given fresh secrets, tried out, and told again what they missed."""

import secrets as randomness
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from gateway import ids
from gateway.clock import NetworkClock
from gateway.codes import DeliveryState, EndpointState, has
from gateway.custody import Custody, Made, Purpose
from gateway.custody.making import undisturbed
from gateway.custody.purposes import NETWORK, merchant_tenant
from gateway.database import Database
from gateway.errors import KeyUnknown, TooManyWebhookEndpoints
from gateway.idempotency import Answer, Asked, Once
from gateway.tables import webhook_deliveries
from gateway.tables import webhook_endpoints as endpoints
from gateway.webhooks import repository
from gateway.webhooks.again import Again
from gateway.webhooks.targets import TargetRules

# Each listening end point costs two rows an event; a merchant with more systems than this has a
# bus of its own behind one end point.
ENDPOINTS_MAX: Final = 10
# How long the secret before still signs: time enough to roll the new one out.
OLD_SECRET_S: Final = 86_400
SECRET_BYTES: Final = 32


class Webhooks:
    """The room's service; knows no HTTP and commits what it opens."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        clock: NetworkClock,
        rules: TargetRules,
        *,
        wake: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
        once: Once | None = None,
    ) -> None:
        self._database = database
        self._custody = custody
        self._clock = clock
        self._rules = rules
        self._wake = wake
        self._wall = wall
        self._once = once or Once(database, clock)
        self.again = Again(self._once, wake, wall)

    # ---- making and changing

    def create(self, asked: Asked, url: str, mask: int, description: str) -> dict[str, Any]:
        """Stores an end point; shows its secret. Repeated under its key: the same end point.

        Raises WebhookUrlRefused, TooManyWebhookEndpoints, IdempotencyKeyReused.
        """
        target = self._rules.target(url)

        def act(secret: Made, connection: Connection, now: int) -> Answer:
            repository.lock_owner(self._database, connection, asked.tenant)
            c = endpoints.c
            query = select(func.count()).where(
                c.merchant_id == asked.tenant, ~has(c.state, EndpointState.DELETED)
            )
            if connection.execute(query).scalar_one() >= ENDPOINTS_MAX:
                raise TooManyWebhookEndpoints(f"there are at most {ENDPOINTS_MAX} end points")
            self._custody.store(connection, secret, now)
            raw_id = ids.new_id(int(self._wall()))
            row = {
                "public_id": raw_id,
                "merchant_id": asked.tenant,
                "url": url,
                "description": description,
                "events": mask,
                "state": EndpointState.ACTIVE.value,
                "secret": secret.place.address,
                "created_at": now,
                "changed_at": int(self._wall()),
            }
            connection.execute(insert(endpoints), row)
            repository.note_listening(connection, asked.tenant)
            name = ids.encode(ids.ENDPOINT, raw_id)
            repository.note(connection, now, asked.actor, "create", f"{name} at {target.host}")
            return Answer(201, {"endpoint": name, "secret": secret.place.address.hex()})

        return self._with_secret(asked, act)

    def change(
        self,
        tenant: int,
        actor: str,
        endpoint: str,
        *,
        url: str | None = None,
        mask: int | None = None,
        description: str | None = None,
        active: bool | None = None,
    ) -> dict[str, Any]:
        """Changes what is given. Switched on again, it gets what waited for it.

        Raises WebhookEndpointUnknown, WebhookUrlRefused.
        """
        if url is not None:
            self._rules.target(url)
        now = int(self._wall())
        values: dict[str, Any] = {"url": url, "events": mask, "description": description}
        values = {name: value for name, value in values.items() if value is not None}
        if active is not None:
            state = EndpointState.ACTIVE if active else EndpointState.DISABLED
            values |= {"state": state.value, "failures": 0, "not_before": 0}
        with self._database.write() as connection:
            repository.lock_owner(self._database, connection, tenant)
            row = repository.find(connection, endpoint, tenant)
            if values:
                statement = update(endpoints).where(endpoints.c.id == row.id)
                connection.execute(statement.values(changed_at=now, **values))
                repository.note_listening(connection, tenant)
                repository.note(
                    connection,
                    self._clock.now(),
                    actor,
                    "change",
                    f"{endpoint} {', '.join(sorted(values))}",
                )
            found = repository.find(connection, endpoint, tenant)
        self._wake()
        return repository.shown_endpoint(found, now)

    def delete(self, tenant: int, actor: str, endpoint: str) -> None:
        """Forgets the end point, its secrets, and what waits for it. Raises
        WebhookEndpointUnknown.
        """
        now = int(self._wall())
        with self._database.write() as connection:
            repository.lock_owner(self._database, connection, tenant)
            row = repository.find(connection, endpoint, tenant, deleted=True)
            if row.state == EndpointState.DELETED:
                # Asked once more, after an answer that got lost.
                return
            for name in (row.secret, row.old_secret):
                if name is not None:
                    self._custody.forget(connection, bytes(name))
            connection.execute(
                update(endpoints)
                .where(endpoints.c.id == row.id)
                .values(state=EndpointState.DELETED.value, old_secret=None, changed_at=now)
            )
            d = webhook_deliveries.c
            connection.execute(
                update(webhook_deliveries)
                .where(d.endpoint_id == row.id, has(d.state, DeliveryState.PENDING))
                .values(state=DeliveryState.FAILED.value, last_outcome="endpoint_off", ended_at=now)
            )
            repository.note_listening(connection, tenant)
            repository.note(connection, self._clock.now(), actor, "delete", endpoint)

    def rotate(self, asked: Asked, endpoint: str) -> dict[str, Any]:
        """A fresh secret. The one before signs beside it for a day; one before that no more.

        Raises WebhookEndpointUnknown, IdempotencyKeyReused.
        """

        def act(secret: Made, connection: Connection, now: int) -> Answer:
            repository.lock_owner(self._database, connection, asked.tenant)
            row = repository.find(connection, endpoint, asked.tenant)
            if row.old_secret is not None:
                self._custody.forget(connection, bytes(row.old_secret))
            self._custody.store(connection, secret, now)
            wall = int(self._wall())
            connection.execute(
                update(endpoints)
                .where(endpoints.c.id == row.id)
                .values(
                    secret=secret.place.address,
                    old_secret=row.secret,
                    old_secret_until=wall + OLD_SECRET_S,
                    changed_at=wall,
                )
            )
            repository.note(connection, now, asked.actor, "rotate", endpoint)
            return Answer(201, {"endpoint": endpoint, "secret": secret.place.address.hex()})

        return self._with_secret(asked, act)

    # ---- reading

    def get(self, tenant: int | None, endpoint: str) -> dict[str, Any]:
        """One end point. Raises WebhookEndpointUnknown."""
        with self._database.read() as connection:
            row = repository.find(connection, endpoint, tenant)
        return repository.shown_endpoint(row, int(self._wall()))

    def all_of(self, tenant: int | None) -> list[dict[str, Any]]:
        """The merchant's end points, the oldest first."""
        with self._database.read() as connection:
            rows: Sequence[Any] = repository.all_of(connection, tenant)
        return [repository.shown_endpoint(row, int(self._wall())) for row in rows]

    def deliveries(
        self, tenant: int, endpoint: str, *, state: int | None, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The log, the newest event first. Raises WebhookEndpointUnknown, InvalidRequest."""
        with self._database.read() as connection:
            row = repository.find(connection, endpoint, tenant)
            return repository.page(connection, row.id, state=state, cursor=cursor, limit=limit)

    def delivery(self, tenant: int, endpoint: str, event: str) -> dict[str, Any]:
        """One delivery with payload and attempts. Raises WebhookEndpointUnknown,
        WebhookEventUnknown.
        """
        with self._database.read() as connection:
            row = repository.find(connection, endpoint, tenant)
            found = repository.find_event(connection, event, row.merchant_id)
            return repository.delivery(connection, row.id, found)

    # ---- inside

    def _with_secret(
        self, asked: Asked, act: Callable[[Made, Connection, int], Answer]
    ) -> dict[str, Any]:
        """Carries the request out with a fresh secret; the end point as it is now, with the secret
        that this request made, while that lives.
        """
        owner = NETWORK if asked.tenant == 0 else merchant_tenant(asked.tenant)

        def run() -> Answer:
            # Sealed before the transaction: the master key may be in KMS.
            secret = randomness.token_bytes(SECRET_BYTES)
            made = self._custody.make_secret(owner, Purpose.WEBHOOK, secret)
            return self._once.run(asked, partial(act, made))

        done = undisturbed(run).value()
        with self._database.read() as connection:
            row = repository.find(connection, done["endpoint"], asked.tenant)
        shown: str | None
        try:
            secret = self._custody.kept(bytes.fromhex(done["secret"]))
            shown = "whsec_" + b64encode(secret).decode()
        except KeyUnknown:
            # Asked again after two rotations: it has no such secret any more.
            shown = None
        return repository.shown_endpoint(row, int(self._wall())) | {"secret": shown}
