"""View models of the network's page: facts in, words and pictures out. No SQL, no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web import charts
from gateway.web.facts import (
    EpochFacts,
    LawFacts,
    MerchantFacts,
    NetworkFacts,
    OrderFacts,
    Unit,
)
from gateway.web.formats import MINUS, Formats
from gateway.web.pictures import Flows, Trade, flows_between, trade_by

REASONS = {
    "balance_too_low": "Balance too low",
    "credit_limit_exceeded": "Merchant’s credit limit reached",
    "merchant_not_active": "Merchant is not active",
    "reference_used": "Purchase already recorded",
    "member_unknown": "Member unknown",
}

KINDS = {
    "join": "Join",
    "issue": "Issue",
    "redeem": "Redeem",
    "refund": "Refund",
    "return": "Return",
    "transfer": "Transfer",
    "leave": "Leave",
    "withdraw": "Withdraw",
}


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """One merchant as written; `bar` compares what it issued and honoured with the largest one."""

    name: str
    colour: int
    issued: str
    honoured: str
    position: str
    negative: bool
    issued_bar: Markup
    honoured_bar: Markup


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch and where its points are. `expired` where the unspent ones are void."""

    epoch: int
    earned: str
    usable: str
    issued: str
    redeemed: str
    unspent: str
    expired: bool
    bar: Markup


@dataclass(frozen=True, slots=True)
class LawRow:
    """One law with its two sides in full."""

    number: int
    name: str
    left_name: str
    left: str
    right_name: str
    right: str
    relation: str
    holds: bool


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order as written. `tone` is good, bad or waiting."""

    kind: str
    merchant: str
    member: str | None
    member_short: str
    points: str
    state: str
    tone: str
    reason: str | None
    reference: str
    when: str
    machine: str


@dataclass(frozen=True, slots=True)
class NetworkPage:
    """Everything that network.html writes."""

    headline: str
    as_of: str
    as_of_machine: str
    block: str
    live: str
    face_value: str
    reserve: str
    reserve_rest: str
    equation_sign: str
    currency: str
    laws_hold: bool
    laws_summary: str
    figures: Sequence[tuple[str, str, str]]
    flows: Flows | None
    merchants: Sequence[MerchantRow]
    epochs: Sequence[EpochRow]
    trade: Trade | None
    laws: Sequence[LawRow]
    orders: Sequence[OrderRow]
    open_orders: str | None


def network_page(facts: NetworkFacts, formats: Formats, face_value: int) -> NetworkPage:
    """The network's page; `face_value` is money units per point."""
    broken = sum(not law.holds for law in facts.laws)
    ranked = sorted(facts.merchants, key=lambda each: (-each.issued, each.number))
    # The headline is an equation, so it shows every digit; those behind the cents stand smaller.
    reserve = formats.money_exact(facts.reserve)
    cents = reserve.index(".") + 3
    return NetworkPage(
        headline=_headline(facts.laws, broken),
        as_of=formats.moment(facts.as_of.time),
        as_of_machine=formats.machine(facts.as_of.time),
        block=formats.points(facts.as_of.block),
        live=formats.points(facts.live),
        face_value=formats.money_exact(face_value),
        reserve=reserve[:cents],
        reserve_rest=reserve[cents:],
        equation_sign="=" if facts.live * face_value == facts.reserve else "≠",
        currency=formats.money_of.label,
        laws_hold=broken == 0 and len(facts.laws) > 0,
        laws_summary=_laws_summary(len(facts.laws), broken),
        figures=_figures(facts, formats),
        flows=flows_between(facts, ranked, formats),
        merchants=_merchants(ranked, formats),
        epochs=[_epoch(epoch, facts, formats) for epoch in facts.epochs],
        trade=trade_by(facts.periods, facts.period, formats),
        laws=[_law(law, formats) for law in facts.laws],
        orders=[_order(order, formats) for order in facts.orders],
        open_orders=formats.points(facts.open_orders) if facts.open_orders else None,
    )


def _headline(laws: Sequence[LawFacts], broken: int) -> str:
    """The claim on top, made only where every law was checked and holds."""
    if broken:
        return "The figures of this network do not agree. The laws below say where."
    if not laws:
        return "The figures of this network have not been checked yet."
    return "Every point in a member’s hands has its money in the reserve."


def _laws_summary(count: int, broken: int) -> str:
    if not count:
        return "No law has been checked yet"
    if broken:
        return f"{broken} of {count} laws broken"
    return f"All {count} laws hold"


def _figures(facts: NetworkFacts, formats: Formats) -> list[tuple[str, str, str]]:
    """(name, figure, remark) of the row under the headline."""
    return [
        ("Members", formats.points(facts.members), f"across {len(facts.merchants)} merchants"),
        ("Issued", formats.points(facts.issued), "points since the start"),
        (
            "Redeemed",
            formats.points(facts.redeemed),
            f"{formats.share(facts.redeemed, facts.issued)} of the points issued",
        ),
        ("Refused", formats.points(facts.refused), "requests that were not covered"),
        (
            f"Operator’s income, {formats.money_of.label}",
            formats.money(facts.income, labelled=False),
            f"fees so far; breakage {formats.money(facts.breakage, labelled=False)}",
        ),
    ]


def _merchants(ranked: Sequence[MerchantFacts], formats: Formats) -> list[MerchantRow]:
    largest = max((max(each.issued, each.honoured) for each in ranked), default=0)
    return [
        MerchantRow(
            name=each.name,
            colour=index % 10,
            issued=formats.points(each.issued),
            honoured=formats.points(each.honoured),
            position=formats.money(each.position, labelled=False),
            negative=each.position < 0,
            issued_bar=charts.stacked_bar([("issued", each.issued)], largest),
            honoured_bar=charts.stacked_bar([("honoured", each.honoured)], largest),
        )
        for index, each in enumerate(ranked)
    ]


def _epoch(epoch: EpochFacts, facts: NetworkFacts, formats: Formats) -> EpochRow:
    expired = facts.as_of.time >= epoch.expires_at
    redeemed = epoch.issued - epoch.unspent
    whole = max((each.issued for each in facts.epochs), default=0)
    rest = "expired" if expired else "live"
    return EpochRow(
        epoch=epoch.epoch,
        earned=f"{formats.day(epoch.starts_at)} – {formats.day(epoch.ends_at)}",
        usable=formats.day(epoch.expires_at - 1),
        issued=formats.points(epoch.issued),
        redeemed=formats.points(redeemed),
        unspent=formats.points(epoch.unspent),
        expired=expired,
        bar=charts.stacked_bar([(rest, epoch.unspent), ("redeemed", redeemed)], whole),
    )


def _law(law: LawFacts, formats: Formats) -> LawRow:
    return LawRow(
        number=law.number,
        name=_sentence(law.name),
        left_name=_sentence(law.left_name),
        left=_side(law.left, law.unit, formats),
        right_name=_sentence(law.right_name),
        right=_side(law.right, law.unit, formats),
        relation="=" if law.holds else "≠",
        holds=law.holds,
    )


def _sentence(words: str) -> str:
    """Words as the start of a sentence, with a true minus between terms."""
    return (words[:1].upper() + words[1:]).replace(" - ", f" {MINUS} ").replace(" x ", " × ")


def _side(amount: int, unit: Unit, formats: Formats) -> str:
    if unit == "money":
        return f"{formats.money_of.label} {formats.money_exact(amount)}"
    return formats.points(amount)


def _order(order: OrderFacts, formats: Formats) -> OrderRow:
    tone = {"final": "good", "failed": "bad", "refused": "bad"}.get(order.state, "waiting")
    reason = None
    if order.reason is not None:
        reason = REASONS.get(order.reason, order.reason.replace("_", " ").capitalize())
    return OrderRow(
        kind=KINDS.get(order.kind, order.kind),
        merchant=order.merchant or "–",
        member=order.member,
        member_short=f"…{order.member[-6:]}" if order.member else "",
        points=formats.points(order.points),
        state=order.state,
        tone=tone,
        reason=reason,
        reference=order.reference or "",
        when=f"{formats.day_short(order.at)}, {formats.clock(order.at)}",
        machine=formats.machine(order.at),
    )
