"""`banyan merchant`: add, list, fund; a fresh API key."""

from typing import Annotated, Any

import typer

from gateway.cli.common import DataOption, JsonOption, money_of, network_of, shown_money
from gateway.errors import MerchantUnknown
from gateway.model import EarnRule, Merchant, NewMerchant
from gateway.service import Gateway
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True, help="Merchants of a network that is not running (else use the API)."
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
    with failing(as_json), network_of(data) as network:
        points, _, per = earn.partition("/")
        rule = EarnRule(int(points), int(per or "1"), currency)
        new = NewMerchant(name, slug, money_of(deposit), rule)
        merchant = network.gateway.onboard_merchant(new, mine=lambda: _mine(network.chain))
        content = _content(merchant)
        if merchant.api_key is not None:
            content["api_key"] = merchant.api_key
        answer(content, as_json)


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """All merchants, with what each has with the network."""
    with failing(as_json), network_of(data) as network:
        rows = []
        for merchant in network.gateway.merchants():
            position = network.gateway.books.position(merchant.number)
            rows.append(
                _content(merchant) | {"position": None if position is None else position.position}
            )
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
    with failing(as_json), network_of(data) as network:
        gateway = network.gateway
        merchant = merchant_of(gateway, slug)
        booked = gateway.merchants_room.fund(
            merchant.id, money_of(amount), bank_reference, "banyan merchant fund"
        )
        gateway.drain(mine=lambda: _mine(network.chain))
        position = gateway.books.position(merchant.number)
        content = {
            "merchant": slug,
            "booked": booked,
            "position": None if position is None else position.position,
        }
        answer(content, as_json)


@app.command("key")
def key(
    slug: Annotated[str, typer.Argument(help="The merchant's short name.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """A fresh API key, shown this once; of older ones the latest stays alive."""
    with failing(as_json), network_of(data) as network:
        room = network.gateway.merchants_room
        merchant = merchant_of(network.gateway, slug)
        _, text = room.new_api_key(merchant.id, "banyan merchant key")
        answer({"merchant": slug, "api_key": text}, as_json)


def merchant_of(gateway: Gateway, slug: str) -> Merchant:
    """The merchant with this short name. Raises MerchantUnknown."""
    for merchant in gateway.merchants():
        if merchant.slug == slug:
            return merchant
    raise MerchantUnknown(f"there is no merchant {slug!r}", merchant=slug)


def _content(merchant: Merchant) -> dict[str, Any]:
    return {
        "id": merchant.id,
        "number": merchant.number,
        "slug": merchant.slug,
        "name": merchant.name,
        "state": merchant.state.value,
    }


def _mine(chain: Any) -> None:
    chain.mine()
