"""A network that is running already: where it listens, and a key for this machine's commands.

`banyan serve` and `banyan demo` leave a note each in DATA/secrets, which only its owner can read;
who can read that folder has the master key anyway. The note and its key go when the process stops,
and only they: other gateways of the same folder (systemd's, on other ports) keep theirs.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from sqlalchemy import update

from gateway.auth.keys import Role
from gateway.auth.rotation import rotate_key
from gateway.service import Gateway
from gateway.settings import Settings
from gateway.tables import api_keys
from wallet_sdk.errors import GatewayRefused, GatewayUnavailable

LABEL = "command line"
LABEL_LENGTH_MAX = 40
"""As of any key's label."""
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """Where the network listens, and an operator's key."""

    url: str
    key: str

    def client(self, key: str | None = None) -> httpx.Client:
        """A client of its API, as the operator or with another key."""
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key or self.key}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )


def _place(url: str) -> str:
    """This machine and the port: no two processes that run at once share both."""
    return f"{socket.gethostname()}-{urlsplit(url).port}"


@contextmanager
def announced(gateway: Gateway, url: str) -> Iterator[None]:
    """The note is there while this is entered. On PostgreSQL other gateways leave their own."""
    # A label of its own, or a third gateway's key would end the first one's. The end of a long
    # machine's name tells more than its beginning.
    label = f"{LABEL} {_place(url)[-(LABEL_LENGTH_MAX - len(LABEL) - 1) :]}"
    with gateway.database.write() as connection:
        key_id, key = rotate_key(connection, Role.OPERATOR, None, gateway.clock.now(), label=label)
    path = gateway.settings.secrets_dir / f"running-{_place(url)}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(orjson.dumps({"url": url, "key": key}))
    beside.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        with gateway.database.write() as connection:
            gone = update(api_keys).where(api_keys.c.id == key_id)
            connection.execute(gone.values(revoked_at=gateway.clock.now()))


def running(settings: Settings) -> Running | None:
    """A gateway that serves this data folder now; None: none does."""
    for path in sorted(settings.secrets_dir.glob("running-*.json")):
        try:
            content = orjson.loads(path.read_bytes())
            found = Running(str(content["url"]), str(content["key"]))
            with found.client() as client:
                # Not just alive: the key of a note that a kill left may have been revoked since.
                status = client.get("/v1/merchants", params={"limit": 1}).status_code
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            continue
        if status in (200, 429, 503):
            return found
    return None


def answered(response: httpx.Response) -> Any:
    """The answer's JSON. Raises GatewayRefused, GatewayUnavailable."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.status_code < 400:
        return body
    code, detail = str(body.get("code", "http")), str(body.get("detail", response.reason_phrase))
    if response.status_code >= 500 or response.status_code == 429:
        raise GatewayUnavailable(detail, idempotency_key=None, status=response.status_code)
    raise GatewayRefused(code, detail, status=response.status_code, problem=body)
