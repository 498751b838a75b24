"""What the commands for merchants need of a network: opened here, or running and asked by its API.

Which of the two it is does not show in their answers.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx

from gateway.auth.keys import Role, Scope
from gateway.auth.repository import revoke
from gateway.cli.common import network_of, settings_of
from gateway.cli.running import Running, answered, running
from gateway.errors import MerchantUnknown
from gateway.imports.service import ImportResult, import_file
from gateway.model import (
    Accepted,
    EarnRule,
    Member,
    Merchant,
    MerchantState,
    NewMerchant,
    NewOrder,
    Refused,
)
from gateway.network import Network

PATIENCE_S = 20.0
"""How long a command waits for the running network to carry out what it asked for."""

Progress = Callable[[int, int], None]


class Desk(Protocol):
    """A network's counter. Money in units of the settlement asset."""

    def onboard(self, new: NewMerchant) -> Merchant:
        """The merchant, with its API key where it is new."""
        ...

    def merchants(self) -> list[tuple[Merchant, int | None]]:
        """All merchants, each with its position (None: not registered)."""
        ...

    def fund(self, slug: str, amount: int, bank_reference: str) -> tuple[bool, int | None]:
        """Whether the deposit is new, and the position after it."""
        ...

    def merchant_key(self, slug: str) -> str:
        """A fresh API key of the merchant."""
        ...

    def network_key(self, role: Role, label: str, scopes: frozenset[Scope] | None) -> str:
        """A fresh API key of an operator or an auditor."""
        ...

    def revoke_key(self, key_id: str) -> None:
        """The API key opens nothing any more. Raises ApiKeyUnknown."""
        ...

    def import_file(
        self, slug: str, file: Path, rejects: Path, progress: Progress
    ) -> tuple[ImportResult, int]:
        """What became of the lines, and how many orders are still open."""
        ...


@contextmanager
def desk_of(data: Path | None) -> Iterator[Desk]:
    """The network in the data folder: by its API where one is running, else opened."""
    found = running(settings_of(data))
    if found is not None:
        with found.client() as client:
            yield RemoteDesk(found, client)
        return
    with network_of(data) as network:
        yield LocalDesk(network)


def named(merchants: Sequence[Merchant], slug: str) -> Merchant:
    """The merchant with this short name. Raises MerchantUnknown."""
    for merchant in merchants:
        if merchant.slug == slug:
            return merchant
    raise MerchantUnknown(f"there is no merchant {slug!r}", merchant=slug)


class LocalDesk:
    """A network opened for one command; it is brought to rest before the command ends."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._gateway = network.gateway

    def onboard(self, new: NewMerchant) -> Merchant:
        return self._gateway.onboard_merchant(new, mine=self._mine)

    def merchants(self) -> list[tuple[Merchant, int | None]]:
        return [(m, self._position(m)) for m in self._gateway.merchants()]

    def fund(self, slug: str, amount: int, bank_reference: str) -> tuple[bool, int | None]:
        merchant = named(self._gateway.merchants(), slug)
        booked = self._gateway.merchants_room.fund(
            merchant.id, amount, bank_reference, "banyan merchant fund"
        )
        self._gateway.drain(mine=self._mine)
        return booked, self._position(merchant)

    def merchant_key(self, slug: str) -> str:
        merchant = named(self._gateway.merchants(), slug)
        return self._gateway.merchants_room.new_api_key(merchant.id, "banyan merchant key")[1]

    def network_key(self, role: Role, label: str, scopes: frozenset[Scope] | None) -> str:
        room = self._gateway.merchants_room
        return room.new_network_key("banyan operator key", role, label=label, scopes=scopes)[1]

    def revoke_key(self, key_id: str) -> None:
        gateway = self._gateway
        with gateway.database.write() as connection:
            revoke(connection, key_id, 0, "banyan operator revoke", gateway.clock.now())

    def import_file(
        self, slug: str, file: Path, rejects: Path, progress: Progress
    ) -> tuple[ImportResult, int]:
        issuer = named(self._gateway.merchants(), slug)
        result = import_file(self._gateway, issuer, file, rejects, progress)
        return result, self._gateway.drain(mine=self._mine).open_orders

    def _position(self, merchant: Merchant) -> int | None:
        found = self._gateway.books.position(merchant.number)
        return None if found is None else found.position

    def _mine(self) -> None:
        self._network.chain.mine()


class RemoteDesk:
    """A running network, asked over HTTP as its operator."""

    def __init__(self, found: Running, client: httpx.Client) -> None:
        self._running = found
        self._client = client

    def onboard(self, new: NewMerchant) -> Merchant:
        rule = new.earn_rule
        body = {
            "name": new.name,
            "slug": new.slug,
            "deposit": new.deposit,
            "credit_limit": new.credit_limit,
            "earn_rule": {
                "points": rule.points,
                "per_minor": rule.per_minor,
                "currency": rule.currency,
                "minor_digits": rule.minor_digits,
            },
        }
        made = _merchant(_post(self._client, "/v1/merchants", body))
        if made.api_key is None:
            return made
        # A fresh one: until it is registered and its opening deposit has arrived.
        self._await(made, new.deposit)
        found = answered(self._client.get(f"/v1/merchants/{made.id}"))
        return _merchant({**found, "api_key": made.api_key})

    def merchants(self) -> list[tuple[Merchant, int | None]]:
        return [(m, self._position(m)) for m in self._all()]

    def fund(self, slug: str, amount: int, bank_reference: str) -> tuple[bool, int | None]:
        merchant = named(self._all(), slug)
        before = self._position(merchant)
        body = {"amount": amount, "bank_reference": bank_reference}
        booked = bool(_post(self._client, f"/v1/merchants/{merchant.id}/deposits", body)["booked"])
        if booked:
            self._await(merchant, (before or 0) + amount)
        return booked, self._position(merchant)

    def merchant_key(self, slug: str) -> str:
        merchant = named(self._all(), slug)
        made = _post(self._client, f"/v1/merchants/{merchant.id}/api-keys", {"role": "merchant"})
        return str(made["api_key"])

    def network_key(self, role: Role, label: str, scopes: frozenset[Scope] | None) -> str:
        wanted = None if scopes is None else sorted(scopes)
        body = {"role": role.value, "label": label, "scopes": wanted}
        return str(_post(self._client, "/v1/api-keys", body)["api_key"])

    def revoke_key(self, key_id: str) -> None:
        _post(self._client, f"/v1/api-keys/{key_id}/revoke", {})

    def import_file(
        self, slug: str, file: Path, rejects: Path, progress: Progress
    ) -> tuple[ImportResult, int]:
        merchant = named(self._all(), slug)
        body = {"role": "cashier", "label": "import", "scopes": ["issue", "members", "orders:read"]}
        key = _post(self._client, f"/v1/merchants/{merchant.id}/api-keys", body)
        try:
            with self._running.client(key["api_key"]) as till:
                target = _Till(till)
                result = import_file(target, merchant, file, rejects, progress)
                return result, target.open_after(PATIENCE_S)
        finally:
            _post(self._client, f"/v1/api-keys/{key['id']}/revoke", {})

    def _await(self, merchant: Merchant, money: int) -> None:
        """Until the merchant is registered and has so much, or patience ends: it may be trading."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            position = self._position(merchant)
            if position is not None and position >= money:
                return
            time.sleep(0.2)

    def _all(self) -> list[Merchant]:
        found: list[Merchant] = []
        cursor: dict[str, str] = {}
        while True:
            page = answered(self._client.get("/v1/merchants", params={"limit": 500, **cursor}))
            found += [_merchant(body) for body in page["merchants"]]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def _position(self, merchant: Merchant) -> int | None:
        response = self._client.get(f"/v1/merchants/{merchant.id}/position")
        if response.status_code == 409:
            return None
        return int(answered(response)["position"])


class _Till:
    """The importer's target: a merchant's key over HTTP."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._members: dict[str, Member] = {}
        self._last: str | None = None
        self._accepted = 0

    def ensure_members(self, external_ids: Sequence[str]) -> dict[str, Member]:
        """Members by external id, each asked for once."""
        for name in dict.fromkeys(external_ids):
            if name not in self._members:
                body = _post(self._client, "/v1/members", {"external_id": name})
                self._members[name] = Member(body["id"], name, "", body["joined"])
        return {name: self._members[name] for name in external_ids}

    def accept_many(
        self, requests: Sequence[NewOrder], *, idempotency_key: str
    ) -> list[Accepted | Refused]:
        """One answer a wish, in order."""
        lines = [
            {"member": r.member, "points": r.points, "reference": r.reference} for r in requests
        ]
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, idempotency_key))
        answer = _post(self._client, "/v1/issuances/bulk", {"lines": lines}, key)
        return [self._read(line) for line in answer["lines"]]

    def _read(self, line: dict[str, Any]) -> Accepted | Refused:
        refused = line.get("refused")
        if refused is not None:
            return Refused(line["reference"], refused["code"], refused["detail"], refused["order"])
        self._last = line["id"]
        self._accepted += 1
        return Accepted(line["id"], line["reference"], line["points"], line["accepted_at"])

    def open_after(self, patience_s: float) -> int:
        """0 once the last order is settled; else how many were accepted."""
        until = time.monotonic() + patience_s
        while self._last is not None and time.monotonic() < until:
            state = answered(self._client.get(f"/v1/orders/{self._last}"))["state"]
            if state in ("final", "failed"):
                return 0
            time.sleep(0.2)
        return 0 if self._last is None else self._accepted


def _post(client: httpx.Client, path: str, body: Any, key: str | None = None) -> Any:
    headers = {"idempotency-key": key or uuid.uuid4().hex}
    return answered(client.post(path, json=body, headers=headers))


def _merchant(body: dict[str, Any]) -> Merchant:
    return Merchant(
        id=body["id"],
        number=body["number"],
        slug=body["slug"],
        name=body["name"],
        state=MerchantState(body["state"]),
        owner="",
        till_key="",
        earn_rule=EarnRule(**body["earn_rule"]),
        api_key=body.get("api_key"),
    )
