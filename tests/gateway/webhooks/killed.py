"""Delivers webhooks until it is killed. Takes a folder with orders.db and secrets/."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gateway.custody import Custody, MasterRing, MasterSources
from gateway.database import Database
from gateway.webhooks.delivery import Deliverer
from gateway.webhooks.targets import TargetRules
from gateway.webhooks.transport import Line

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    database = Database(f"sqlite:///{folder / 'orders.db'}")
    custody = Custody(database, MasterRing(database, MasterSources(folder / "secrets")))
    wall = time.time() + 60
    Deliverer(
        database, custody, lambda: Line(TargetRules(loopback=True)), wall=lambda: wall
    ).start()
    time.sleep(30)
