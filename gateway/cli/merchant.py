"""`banyan merchant`: add, list, fund; a fresh API key."""

from typing import Annotated, Any

import typer

from gateway.cli.common import DataOption, JsonOption, money_of, shown_money
from gateway.cli.desk import desk_of
from gateway.errors import InvalidRequest
from gateway.model import EarnRule, Merchant, NewMerchant
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True, help="Merchants; where the network is running, through its API."
)


@app.command("add")
def add(
    slug: Annotated[str, typer.Argument(help="Short name: letters, digits, - and _.")],
    name: Annotated[str, typer.Option(help="The name that members see.")],
    deposit: Annotated[
        str, typer.Option(help="What the bank has received for it, e.g. 1500.00.")
    ] = "0",
    currency: Annotated[str, typer.Option(help="Currency of its purchases.")] = "USD",
    earn: Annotated[
        str, typer.Option(help="Earn rule, points/minor units: 1/1 is one point a cent.")
    ] = "1/1",
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Onboards a merchant: registers it on chain, makes its keys, books its deposit.

    The API key is shown this once.
    """
    with failing(as_json):
        rule = _rule_of(earn, currency)
    with failing(as_json), desk_of(data) as desk:
        merchant = desk.onboard(NewMerchant(name, slug, money_of(deposit), rule))
        content = _content(merchant)
        if merchant.api_key is not None:
            content["api_key"] = merchant.api_key
        answer(content, as_json)


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """All merchants, with what each has with the network."""
    with failing(as_json), desk_of(data) as desk:
        rows = [_content(m) | {"position": position} for m, position in desk.merchants()]
        if as_json:
            answer({"merchants": rows}, as_json)
            return
        for row in rows:
            money = "not registered" if row["position"] is None else shown_money(row["position"])
            typer.echo(f"{row['number']:>4}  {row['slug']:<24} {row['state']:<12} {money:>20}")


@app.command("fund")
def fund(
    slug: Annotated[str, typer.Argument(help="The merchant's short name.")],
    amount: Annotated[str, typer.Argument(help="What the bank has received, e.g. 1500.00.")],
    bank_reference: Annotated[
        str, typer.Option("--bank-reference", help="The bank's reference; booked once.")
    ],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Books a deposit for a merchant, once per bank reference."""
    with failing(as_json), desk_of(data) as desk:
        booked, position = desk.fund(slug, money_of(amount), bank_reference)
        answer({"merchant": slug, "booked": booked, "position": position}, as_json)


@app.command("key")
def key(
    slug: Annotated[str, typer.Argument(help="The merchant's short name.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """A fresh API key of the merchant's owner, shown this once; of older ones the latest stays.

    To end one key at once, a till's too: `banyan operator revoke ID`.
    """
    with failing(as_json), desk_of(data) as desk:
        answer({"merchant": slug, "api_key": desk.merchant_key(slug)}, as_json)


def _rule_of(text: str, currency: str) -> EarnRule:
    """The rule of `POINTS/MINOR`. Raises InvalidRequest."""
    points, _, per = text.partition("/")
    if not all(part.isascii() and part.isdigit() for part in (points, per or "1")):
        raise InvalidRequest(f"no earn rule: {text[:40]!r}; write it like 1/100")
    return EarnRule(int(points[:12]), int(per[:12] or "1"), currency)


def _content(merchant: Merchant) -> dict[str, Any]:
    return {
        "id": merchant.id,
        "number": merchant.number,
        "slug": merchant.slug,
        "name": merchant.name,
        "state": merchant.state.value,
    }
