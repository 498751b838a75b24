"""Test events, and events that an end point is told once more."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, insert

from gateway import ids
from gateway.codes import EndpointState
from gateway.errors import WebhookEndpointOff
from gateway.idempotency import Act, Answer, Asked, Once
from gateway.tables import webhook_events as events
from gateway.webhooks import repository
from gateway.webhooks.events import Event, payload

# Events of one replay: a transaction of well under a second. Asked again, it goes on.
REPLAY_MAX: Final = 10_000


class Again:
    """What a developer does by hand: try an end point out, and have missed events sent again."""

    def __init__(self, once: Once, wake: Callable[[], None], wall: Callable[[], float]) -> None:
        self._once = once
        self._wake = wake
        self._wall = wall

    def send_test(self, asked: Asked, endpoint: str) -> dict[str, Any]:
        """Puts a `webhook.test` event before this end point alone.

        Raises WebhookEndpointUnknown, WebhookEndpointOff, IdempotencyKeyReused.
        """

        def act(connection: Connection, now: int) -> Answer:
            row = self._active(connection, endpoint, asked.tenant)
            raw = ids.new_id(now)
            number = connection.execute(
                insert(events).returning(events.c.id),
                {
                    "public_id": raw,
                    "merchant_id": asked.tenant,
                    "sequence": 0,
                    "event": Event.TEST.value,
                    "payload": payload(Event.TEST, now, {"endpoint": endpoint}),
                    "created_at": now,
                },
            ).scalar_one()
            repository.put_again(connection, row.id, [number], int(self._wall()))
            return Answer(202, {"event": ids.encode(ids.EVENT, raw)})

        return self._done(asked, act)

    def replay_event(self, asked: Asked, endpoint: str, event: str) -> dict[str, Any]:
        """One event again, under its own webhook-id.

        Raises WebhookEndpointUnknown, WebhookEventUnknown, WebhookEndpointOff.
        """

        def act(connection: Connection, now: int) -> Answer:
            row = self._active(connection, endpoint, asked.tenant)
            found = repository.find_event(connection, event, row.merchant_id)
            repository.put_again(connection, row.id, [found.id], int(self._wall()))
            repository.note(connection, now, asked.actor, "replay", f"{endpoint} {event}")
            return Answer(202, {"events": 1, "more": False})

        return self._done(asked, act)

    def replay(
        self, asked: Asked, endpoint: str, *, since: int, until: int | None, wanted: str
    ) -> dict[str, Any]:
        """Events of a stretch of time again: the `failed`, the `missing`, or `all` of them.

        At most REPLAY_MAX; `more` says whether there are further ones (ask from a later `since`).
        """

        def act(connection: Connection, now: int) -> Answer:
            row = self._active(connection, endpoint, asked.tenant)
            found = repository.replayable(
                connection, row, since=since, until=until, wanted=wanted, limit=REPLAY_MAX + 1
            )
            repository.put_again(connection, row.id, found[:REPLAY_MAX], int(self._wall()))
            count = min(len(found), REPLAY_MAX)
            repository.note(connection, now, asked.actor, "replay", f"{endpoint} {count} {wanted}")
            return Answer(202, {"events": count, "more": len(found) > REPLAY_MAX})

        return self._done(asked, act)

    def _done(self, asked: Asked, act: Act) -> dict[str, Any]:
        done = self._once.run(asked, act).value()
        self._wake()
        return done

    def _active(self, connection: Connection, endpoint: str, tenant: int) -> Any:
        row = repository.find(connection, endpoint, tenant)
        if row.state != EndpointState.ACTIVE:
            raise WebhookEndpointOff(f"the end point {endpoint} is off", endpoint=endpoint)
        return row
