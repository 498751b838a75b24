"""The settlement matrix of one merchant: its row and its column."""

from gateway.merchants.schemas import SettlementBody, SettlementLine
from gateway.service import Gateway
from indexer.statements import SettlementCell, settlement


def settlement_of(
    gateway: Gateway, merchant: int, from_month: int | None, to_month: int | None
) -> SettlementBody:
    """What the merchant honoured of others, and others of it. Raises NotReady."""
    with gateway.books.reading() as connection:
        found = settlement(connection, from_month, to_month)
    names = {each.number: each.id for each in gateway.merchants()}

    def line(other: int, cell: SettlementCell) -> SettlementLine:
        return SettlementLine(
            merchant=names.get(other),
            redeemed=cell.redeemed,
            refunded=cell.refunded,
            points=cell.points,
            paid=cell.paid,
        )

    return SettlementBody(
        honoured=[line(cell.issuer, cell) for cell in found.cells if cell.merchant == merchant],
        issued=[line(cell.merchant, cell) for cell in found.cells if cell.issuer == merchant],
        as_of_block=found.as_of_block,
    )
