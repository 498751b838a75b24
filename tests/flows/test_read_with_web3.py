"""A node, deployment.json and web3.py: nothing of ours in between but the ABIs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.model import NewMerchant, NewOrder, OrderKind
from gateway.network import open_network

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "read_with_web3.py"


@pytest.mark.timeout(120)
def test_read__with_web3_alone__the_figures_of_the_network(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with open_network(data, background=False) as network:
        gateway, chain = network.gateway, network.chain
        baker = gateway.onboard_merchant(
            NewMerchant(name="Baker", slug="baker", deposit=1_000_000), mine=lambda: chain.mine()
        )
        ada = gateway.ensure_members(["ada"])["ada"]
        for kind, points in ((OrderKind.ISSUE, 1_234), (OrderKind.REDEEM, 34)):
            order = NewOrder(kind, ada.id, points, f"receipt {kind}", merchant=baker.id)
            gateway.accept_many([order], idempotency_key=f"till {kind}")
            gateway.drain()
        shown = subprocess.run(
            [
                *(sys.executable, "-W", "ignore", str(EXAMPLE)),
                *(chain.rpc_url, str(data / "deployment.json"), ada.address),
            ],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert re.search(r"^live points +1,200$", shown, re.M)
    assert re.search(r"^reserve +120,000$", shown, re.M)
    assert re.search(r"^redeemed +34 at merchant \d+$", shown, re.M)
    assert f"{ada.address} holds 1,200\n  epoch 1: 1,200\n" in shown
