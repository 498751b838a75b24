"""View model of a member's own page, in a customer's words and language. No SQL, no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gateway.web import charts
from gateway.web.facts import EpochFacts, HistoryFacts, MemberFacts
from gateway.web.formats import Formats
from gateway.web.texts import TEXTS

# From so many days before it on, the soonest expiry is counted in days and shown as a warning.
COUNTDOWN_DAYS = 60

MOVEMENTS = ("issue", "redeem", "refund", "return", "transfer_in", "transfer_out")


@dataclass(frozen=True, slots=True)
class ExpiryRow:
    """Points of one epoch: the date they can be used by, when they were earned, and how soon."""

    points: str
    use_by: str
    machine: str
    earned: str
    countdown: str | None
    soonest: bool
    bar: Markup


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One movement in plain words."""

    words: str
    change: str
    incoming: bool


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """The movements of one day, newest first.

    No time of day is shown: points are booked together with other people's, hours after the till
    perhaps, and a customer remembers when the purchase was.
    """

    name: str
    machine: str
    rows: Sequence[HistoryRow]


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Everything that member.html writes."""

    texts: Mapping[str, str]
    id: str
    number: str
    balance: str
    unit: str
    worth: str
    soonest: str | None
    soonest_warns: bool
    expiry: Sequence[ExpiryRow]
    days: Sequence[HistoryDay]
    next_cursor: str | None
    up_to_date: str
    up_to_date_machine: str


def member_page(facts: MemberFacts, formats: Formats, face_value: int, now: int) -> MemberPage:
    """The member's page as at `now`; `face_value` is money units per point."""
    texts = TEXTS[formats.language]
    live = sorted(
        (each for each in facts.epochs if each.unspent > 0 and each.expires_at > now),
        key=lambda each: each.expires_at,
    )
    return MemberPage(
        texts=texts,
        id=facts.id,
        # The last characters tell one card from another; nobody reads out all of them.
        number=facts.id[-6:],
        balance=formats.points(facts.balance),
        unit=texts["balance_unit_one" if facts.balance == 1 else "balance_unit"],
        worth=texts["worth"].format(money=formats.money(facts.balance * face_value)),
        soonest=_soonest(live[0], formats, texts) if live else None,
        soonest_warns=bool(live)
        and formats.days_between(now, live[0].expires_at - 1) <= COUNTDOWN_DAYS,
        expiry=[
            _expiry(each, index == 0, facts.balance, formats, texts, now)
            for index, each in enumerate(live)
        ],
        days=_days(facts.history, formats, texts),
        next_cursor=facts.next_cursor,
        up_to_date=texts["up_to_date"].format(moment=formats.moment(facts.as_of.time)),
        up_to_date_machine=formats.machine(facts.as_of.time),
    )


def _soonest(epoch: EpochFacts, formats: Formats, texts: Mapping[str, str]) -> str:
    words = texts["soonest_one" if epoch.unspent == 1 else "soonest"]
    return words.format(
        points=formats.points(epoch.unspent), date=formats.day(epoch.expires_at - 1)
    )


def _expiry(
    epoch: EpochFacts,
    soonest: bool,
    balance: int,
    formats: Formats,
    texts: Mapping[str, str],
    now: int,
) -> ExpiryRow:
    last_second = epoch.expires_at - 1
    return ExpiryRow(
        points=formats.points(epoch.unspent),
        use_by=texts["use_by"].format(date=formats.day(last_second)),
        machine=formats.machine(last_second),
        earned=texts["earned_between"].format(
            start=formats.day(epoch.starts_at), end=formats.day(epoch.ends_at)
        ),
        countdown=_countdown(formats.days_between(now, last_second), texts),
        soonest=soonest,
        bar=charts.stacked_bar([("soon" if soonest else "live", epoch.unspent)], balance),
    )


def _countdown(days: int, texts: Mapping[str, str]) -> str | None:
    if days > COUNTDOWN_DAYS:
        return None
    if days == 0:
        return texts["today"]
    return texts["tomorrow"] if days == 1 else texts["in_days"].format(days=days)


def _days(
    history: Sequence[HistoryFacts], formats: Formats, texts: Mapping[str, str]
) -> list[HistoryDay]:
    grouped: dict[str, list[HistoryRow]] = {}
    machine: dict[str, str] = {}
    for item in history:
        name = formats.day(item.at)
        grouped.setdefault(name, []).append(_movement(item, formats, texts))
        machine.setdefault(name, formats.machine_day(item.at))
    return [HistoryDay(name, machine[name], rows) for name, rows in grouped.items()]


def _movement(item: HistoryFacts, formats: Formats, texts: Mapping[str, str]) -> HistoryRow:
    kind = item.kind
    if kind == "transfer":
        kind = "transfer_in" if item.points > 0 else "transfer_out"
    words = texts[kind if kind in MOVEMENTS else "other"]
    return HistoryRow(
        words=words.format(merchant=item.merchant or texts["a_partner"]),
        change=formats.change(item.points),
        incoming=item.points > 0,
    )
