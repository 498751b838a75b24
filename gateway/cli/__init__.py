"""`banyan`: one program for everything that a network needs.

Answers go to standard output, progress and errors to standard error; `--json` makes the answer one
JSON object. Exit codes: 0 done, 1 a check found a difference, 2 it could not be done.
"""

import typer

from gateway.cli import (
    backup,
    deploy,
    imports,
    keys,
    merchant,
    migrate,
    operator,
    reconcile,
    relay,
    serve,
    webhooks,
)
from gateway.demo.cli import demo
from gateway.embedded.cli import app as chain_app
from indexer.cli import register as register_index

app = typer.Typer(
    name="banyan",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A coalition points network: many merchants, one points currency, one wallet, one ledger "
    "that anybody can check. Begin with `banyan demo`.",
)

app.command("demo")(demo)
app.command("serve")(serve.serve)
app.command("deploy")(deploy.deploy)
app.command("migrate")(migrate.migrate)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("import")(imports.import_)
app.add_typer(merchant.app, name="merchant")
app.add_typer(operator.app, name="operator")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(relay.app, name="relay")
app.command("reconcile")(reconcile.reconcile)
app.add_typer(chain_app, name="chain")
register_index(app)


def main() -> None:
    """The program's entry."""
    app()
