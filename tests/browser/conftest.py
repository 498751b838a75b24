"""A browser, where there is one, and a really running small network that it looks at."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from gateway.model import Accepted, NewMerchant, NewOrder, OrderKind, Refused
from gateway.network import open_network

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path(os.environ.get("BANYAN_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# A merchant may call itself what it likes.
FLORIST_NAME = "Florist <script>document.title='broken'</script>"


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} is missing (BANYAN_CHROMIUM names another one)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@dataclass(frozen=True)
class Town:
    """A running network: where its page is, and ada's public id."""

    url: str
    ada: str


@pytest.fixture(scope="session")
def town(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Baker issues to ada and ben, ada spends at the florist's, ben asks for more than he has."""
    # After `browser`: without one there is no need for a network either.
    with open_network(tmp_path_factory.mktemp("town"), background=False) as network:
        gateway, mine = network.gateway, network.chain.mine
        baker, florist = gateway.onboard_merchants(
            [
                NewMerchant(name="Baker", slug="baker", deposit=10**9),
                NewMerchant(name=FLORIST_NAME, slug="florist", deposit=10**9),
            ],
            mine=mine,
        )
        members = gateway.ensure_members(["ada", "ben"])
        gateway.drain(mine=mine)
        ada, ben = members["ada"].id, members["ben"].id
        issue, redeem = OrderKind.ISSUE, OrderKind.REDEEM
        earned = gateway.accept_many(
            [
                NewOrder(issue, ada, 12_345, "bon-1", merchant=baker.id),
                NewOrder(issue, ben, 500, "bon-2", merchant=florist.id),
            ],
            idempotency_key="earned",
        )
        gateway.drain(mine=mine)
        spent = gateway.accept_many(
            [
                NewOrder(redeem, ada, 2_345, "bon-3", merchant=florist.id),
                NewOrder(redeem, ben, 501, "bon-4", merchant=baker.id),
            ],
            idempotency_key="spent",
        )
        gateway.drain(mine=mine)
        assert [type(each) for each in (*earned, *spent)] == [Accepted, Accepted, Accepted, Refused]
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(network.app, log_level="warning"))
            thread = threading.Thread(
                target=server.run, kwargs={"sockets": [listener]}, daemon=True
            )
            thread.start()
            yield Town(f"http://127.0.0.1:{listener.getsockname()[1]}", ada)
            server.should_exit = True
            thread.join(timeout=10)
