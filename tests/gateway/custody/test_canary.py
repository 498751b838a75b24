"""A known key is planted, used and broken: it shows in no log, error, table, metric or repr."""

from __future__ import annotations

import io
import logging
import pickle
import traceback

import pytest
from sqlalchemy import select, update

from gateway.custody import Custody, Purpose, rotation
from gateway.errors import CustodyError, SigningRefused
from gateway.observe import logs
from gateway.tables import metadata, secrets
from tests.gateway.helpers import NOON, Town
from wallet_sdk.orders import Cancel
from wallet_sdk.types import address_bytes

CANARY = bytes.fromhex("c0ffee5eed" * 6 + "c0de")
"""A test key."""


def test_canary__planted_used_and_broken__shows_nowhere(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = town.network.gateway
    custody = gateway.custody
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    handler.setFormatter(logs.formatter(as_json=True))
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    texts: list[str] = []

    def tell(error: BaseException) -> None:
        logging.getLogger("gateway.test").error("broken", exc_info=error, extra={"why": error})
        found = traceback.TracebackException.from_exception(error, capture_locals=True)
        texts.extend([str(error), repr(error), repr(vars(error)), "".join(found.format())])

    tenant = f"merchant:{town.baker.number}"
    row = secrets.c.purpose == "till"
    try:
        with monkeypatch.context() as drawn:
            drawn.setattr("gateway.custody.making.derived", lambda *whose: CANARY)
            address = custody.new_key(tenant, Purpose.TILL, NOON)
        row = secrets.c.address == address_bytes(address)
        signer = custody.signer(address_bytes(address))
        order = Cancel(address, town.baker.number, 1, NOON)
        digest, signature = signer.sign_order(order)
        for refused in (lambda: signer.sign(digest), lambda: signer.sign_transaction({})):
            with pytest.raises(SigningRefused) as found:
                refused()
            tell(found.value)
        for thing in (signer, signer._key, custody, custody.ring, custody.ring.master(1)):
            texts += [repr(thing), str(thing)]
            with pytest.raises(Exception, match="pickle"):
                pickle.dumps(thing)
        with gateway.database.read() as connection:
            for table in metadata.sorted_tables:
                texts += [str(tuple(r)) for r in connection.execute(select(table))]
        files = gateway.settings.data_dir.glob("*.db*")
        raw = b"".join(path.read_bytes() for path in files)
        assert CANARY not in raw
        for broken in (b"", b"\x01" * 130, b"\x02\x00\x01\x00\x3c" + b"\0" * 130):
            with gateway.database.write() as connection:
                connection.execute(update(secrets).where(row).values(sealed=broken))
            with pytest.raises(CustodyError) as failed:
                Custody(gateway.database, custody.ring).signer(address_bytes(address))
            tell(failed.value)
        texts += rotation.check(gateway.database, custody.ring)[1]
        texts.append(town.get("/metrics", by=town.operator_key).text)
        texts.append(town.client.get("/readyz").text)
        texts.append(signature.hex())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        with gateway.database.write() as connection:
            connection.execute(
                secrets.delete().where(
                    row, secrets.c.tenant == tenant, secrets.c.created_at == NOON
                )
            )
    text = "\n".join([*texts, shown.getvalue()])
    assert "does not open" in text
    for form in (CANARY.hex(), str(int.from_bytes(CANARY, "big")), repr(CANARY)[2:-1]):
        assert form.lower() not in text.lower()
