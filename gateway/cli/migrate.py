"""`banyan migrate`: brings the order book's tables to this program's revision."""

from gateway.cli.common import DataOption, JsonOption, settings_of
from gateway.database import Database, current_revision, head_revision
from gateway.database import migrate as bring_up
from indexer.cli.output import answer, failing


def migrate(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Brings the order book's tables to this program's revision, in one transaction.

    Every command does so at its start as far as its database role may; where gateways run under a
    role that changes no tables, run this once under the role that owns them, before the upgrade.
    """
    with failing(as_json):
        settings = settings_of(data)
        if settings.orders_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = Database(settings.orders_dsn)
        try:
            before = current_revision(database)
            bring_up(database)
            answer({"revision_before": before, "revision": head_revision()}, as_json)
        finally:
            database.close()
