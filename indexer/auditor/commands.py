"""The smaller commands beside the audit: bundles, published heads, the reserve statement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from indexer.auditor import checkpoint, heads
from indexer.auditor.bundles import member_bundle, order_bundle, verify_bundle
from indexer.auditor.cli import (
    DeploymentOption,
    LastOption,
    RpcOption,
    app,
    failing,
    last_block,
    run_audit,
)
from indexer.auditor.codec import data_of
from indexer.auditor.errors import AuditError, CannotRun, InputInvalid
from indexer.auditor.network import read_network
from indexer.auditor.outcome import Options
from indexer.auditor.source import Rpc, block_number
from indexer.auditor.statement import sign_statement

OutOption = Annotated[
    Path | None, typer.Option("--out", help="Write here instead of standard output.")
]
KeyOption = Annotated[
    Path, typer.Option("--key-file", help="File with the signing key in hex, for your eyes alone.")
]


def _bytes(text: str, length: int, what: str) -> bytes:
    try:
        return data_of(text.lower(), length)
    except AuditError as error:
        raise typer.BadParameter(f"{what} is 0x and {2 * length} hex digits") from error


def _write(content: Any, out: Path | None) -> None:
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text + "\n")


@app.command()
def order(
    digest: Annotated[str, typer.Argument(help="The order's digest, 0x and 64 hex digits.")],
    rpc: RpcOption,
    deployment: DeploymentOption,
    out: OutOption = None,
) -> None:
    """A proof bundle of one order: effect, transaction, receipt and header, to check offline."""
    wanted = _bytes(digest, 32, "a digest")
    with failing():
        network, node = read_network(deployment), Rpc(rpc)
        try:
            _write(order_bundle(node, network, wanted), out)
        finally:
            node.close()


@app.command()
def member(
    address: Annotated[str, typer.Argument(help="The member's address.")],
    rpc: RpcOption,
    deployment: DeploymentOption,
    last: LastOption = "finalized",
    orders: Annotated[int, typer.Option(min=0, max=1000, help="Newest orders to include.")] = 10,
    out: OutOption = None,
) -> None:
    """A proof bundle of one member: live balance by epoch, and its newest orders."""
    wanted = _bytes(address, 20, "an address")
    asked = last_block(last)
    with failing():
        network, node = read_network(deployment), Rpc(rpc)
        try:
            number = asked if isinstance(asked, int) else block_number(node, asked)
            if number is None or number < network.first_block:
                number = block_number(node, "latest")
            if number is None:
                raise CannotRun("the node names no latest block")
            _write(member_bundle(node, network, wanted, number, orders), out)
        finally:
            node.close()


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle's file.")],
    deployment: Annotated[
        Path | None, typer.Option(help="Also check that it speaks of this network.")
    ] = None,
    anchor: Annotated[
        Path | None, typer.Option(help="Published heads that may name the block.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Check a proof bundle offline. Exit 0: it proves what it says, given its block's hash."""
    with failing():
        try:
            content = orjson.loads(bundle.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise InputInvalid(f"{bundle} cannot be read as a bundle: {error}") from error
        verified = verify_bundle(content)
        if deployment is not None:
            _same_network(content, deployment)
        named = False
        for head in heads.read_heads(anchor) if anchor is not None else []:
            if head.block == verified.block:
                heads.check_hash(head, verified.block_hash)
                named = True
        answer = {
            "holds": True,
            "block": verified.block,
            "block_hash": "0x" + verified.block_hash.hex(),
            "published": named,
            "lines": list(verified.lines),
        }
        if as_json:
            _write(answer, None)
            return
        typer.echo("The bundle holds.")
        for line in verified.lines:
            typer.echo(f"  {line}")
        where = "as published" if named else "compare it with any node, or a published head"
        typer.echo(f"Given block {verified.block} = {answer['block_hash']} ({where}).")


def _same_network(content: dict[str, Any], deployment: Path) -> None:
    network = read_network(deployment)
    place = "coalition" if content["kind"] == "order" else "points"
    name = "Coalition" if place == "coalition" else "Points"
    said = (content["chain_id"], content[place])
    if said != (network.chain_id, "0x" + network.address(name).hex()):
        raise InputInvalid("the bundle is of another network than the deployment file")


@app.command("publish-head")
def publish_head(
    rpc: RpcOption,
    deployment: DeploymentOption,
    key_file: KeyOption,
    heads_file: Annotated[
        Path, typer.Option("--heads", help="File of published heads; this one is appended.")
    ],
    state: Annotated[Path, typer.Option(help="The replayed state, kept for the next time.")],
    last: LastOption = "finalized",
) -> None:
    """Audit what is new, then sign and append the head: the anchor of later audits."""
    with failing():
        key = heads.read_key(key_file)
        known = heads_file if heads_file.exists() else None
        options = Options(last=last_block(last), state=state, heads=known)
        report = run_audit(rpc, deployment, options)
        if report["exit_code"] != 0:
            typer.echo(f"Nothing is published: {report['verdict']}", err=True)
            for finding in report["findings"]:
                typer.echo(f"  {finding['fact']} (block {finding['block']})", err=True)
            raise typer.Exit(report["exit_code"])
        network = read_network(deployment)
        ledger = checkpoint.load(state, network.digest)
        if ledger is None:
            raise CannotRun(f"{state} was not written")
        live = report["reserve"]["live_points"]
        place = network.address("Coalition")
        head = heads.publish(heads_file, ledger, network.chain_id, place, live, key)
        typer.echo(head.line().decode())


@app.command()
def reserve(
    rpc: RpcOption,
    deployment: DeploymentOption,
    last: LastOption = "finalized",
    state: Annotated[Path | None, typer.Option(help="The replayed state, if one is kept.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Sign the statement with the key in this file.")
    ] = None,
    out: OutOption = None,
) -> None:
    """What covers the members' points at a block, in words that claim no more than was proven."""
    with failing():
        options = Options(last=last_block(last), state=state, calls=False)
        report = run_audit(rpc, deployment, options)
        if report["exit_code"] == 1 or report["reserve"] is None:
            typer.echo(f"No statement: {report['verdict']}", err=True)
            raise typer.Exit(report["exit_code"] or 2)
        key = heads.read_key(key_file) if key_file is not None else None
        _write(sign_statement(report["reserve"], key), out)
