"""The compiled contracts and the plain-Python network side by side, each asked the same things.

A `Wish` is one order with the model's opinion of it: every reason against it at the moment it is
carried out, and its effect when there is none. The world sends it through one of the two doors and
insists that the contracts agree: carried out exactly when the model has no reason against it,
refused otherwise, and with one of the model's reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from banyan_kit.revm import Settings, decode_error
from banyan_kit.wire import Key, merkle_proof, redemption_leaf
from network_actions import Actions
from network_desk import ATTESTOR, TREASURY, Desk, buckets_of, refusal
from network_model import Merchant, Redemption, Terms

MEMBERS = [Key.from_seed(name) for name in ("ada", "bob", "chi", "dee", "eve")]
SHOPS = {1: "baker", 2: "florist", 3: "grocer"}
# What the mirror and the auditor read: events that an act must tell, besides one with the digest.
TELLS = {
    "Join": {"MemberSet", "Locked"},
    "Leave": {"MemberSet", "Transfer"},
    "IssueBatch": {"Transfer"},
    "Redeem": {"Transfer", "RedemptionsRooted"},
    "Refund": {"Transfer", "BucketsMoved"},
    "Return": {"Transfer", "BucketsMoved"},
    "Transfer": {"Transfer"},
    "Withdraw": {"Transfer"},
    "give": {"Transfer"},
    "give at epoch": {"Transfer", "BucketsMoved"},
    "deposit": {"Deposited"},
    "deposit guarantee": {"GuaranteeDeposited"},
    "withdraw guarantee": {"GuaranteeWithdrawn"},
    "withdraw income": {"IncomeWithdrawn"},
    "limit": {"CreditLimitSet"},
    "terms": {"TermsSet"},
    "close epoch": {"EpochClosed"},
    "claim": {"BreakageClaimed"},
    "pause": {"IssuingPaused"},
    "finish recovery": {"Recovered", "Transfer"},
}
# Of these a relay must not speak: the order is not authentic, is used up, or has expired.
SILENT = {
    "SignatureInvalid",
    "NotTillKey",
    "NotOwner",
    "OrderExpired",
    "NonceUsed",
    "MerchantNonceUsed",
}


@dataclass
class Wish:
    """A signed order, and what the model thinks of it when its time has come."""

    verb: str
    wire: bytes
    digest: bytes
    deadline: int
    why_not: Callable[[], set[str]]
    effect: Callable[[], Redemption | None]
    # Fields of a Redeem, for the refunds that may follow it.
    fields: dict[str, Any] | None = None
    forged: set[str] = field(default_factory=set)


@dataclass
class Kept:
    """A redemption that took place: the model's, and what a refund on the wire must name."""

    redemption: Redemption
    leaf: bytes
    fields: dict[str, Any]


@dataclass
class World:
    """Both networks, and what happened in them."""

    desk: Desk
    model: Actions
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)
    carried_out: list[bytes] = field(default_factory=list)
    terms_seen: dict[int, Terms] = field(default_factory=dict)
    basket: list[Wish] = field(default_factory=list)
    active_tills: dict[str, int] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    refunds: dict[bytes, Counter[int]] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, settings: Settings | None = None) -> World:
        """Three merchants, and money in the hands of nobody but the treasury."""
        fixed = settings or Settings()
        desk = Desk.open(fixed)
        model = Actions(
            start=fixed.start,
            epoch_length=fixed.epoch_length,
            face_value=fixed.face_value,
            return_cap_bps=fixed.return_cap_bps,
            terms=[(1, Terms(*fixed.terms))],
            now=fixed.start,
        )
        world = cls(desk, model)
        for number, name in SHOPS.items():
            made = desk.register(number, name)
            model.merchants[number] = Merchant()
            world.active_tills[made.tills[0].address] = number
        return world

    # ---- orders

    def wish(
        self,
        kind: str,
        key: Key,
        why_not: Callable[[], set[str]],
        effect: Callable[[], Any],
        /,
        *,
        verb: str | None = None,
        **values: Any,
    ) -> Wish:
        """Signs; the order lives to the end of the epoch unless `deadline` says otherwise."""
        model = self.model
        values.setdefault("deadline", model.epoch_start(model.epoch() + 1) - 1)
        wire = self.desk.network.wire
        plain = {name: value for name, value in values.items() if name != "member_key"}
        digest = wire.digest(kind, **dict(plain))
        fields = plain if kind == "Redeem" else None
        made = wire.signed(kind, key, **values)
        deadline = values["deadline"]
        return Wish(verb or kind, made, digest, deadline, why_not, effect, fields)

    def reasons(self, wish: Wish) -> set[str]:
        """All that speaks against carrying it out now."""
        found = wish.forged | wish.why_not()
        if self.model.now > wish.deadline:
            found.add("OrderExpired")
        if wish.deadline >= self.model.epoch_start(self.model.epoch() + 1):
            found.add("DeadlineBeyondEpoch")
        return found

    def carry_out(self, wish: Wish) -> None:
        """By the door that reverts."""
        reasons = self.reasons(wish)
        error = refusal(self.desk.execute, wish.wire)
        self.judge(wish, error, reasons)
        if error is None:
            self.take_effect([wish])

    def relay(self, wishes: list[Wish]) -> None:
        """By the door that isolates: each is judged in the state that those before it left."""
        logs = self.desk.relay(*[wish.wire for wish in wishes])
        rejected = {
            log.values["digest"]: decode_error(log.values["reason"])[0]
            for log in logs
            if log.name == "Rejected"
        }
        effective = {log.values["digest"] for log in logs if "digest" in log.values}
        effective -= rejected.keys()
        took_effect = []
        for wish in wishes:
            reasons = self.reasons(wish)
            if reasons & SILENT:
                assert wish.digest not in rejected, f"{wish.verb}: news of a dead order"
                self.refused[wish.verb] += 1
                continue
            error = rejected.get(wish.digest)
            if not reasons:
                assert wish.digest in effective, f"{wish.verb} had no effect: {error}"
            self.judge(wish, error, reasons)
            if error is None:
                took_effect.append((wish, wish.effect()))
                self.done[wish.verb] += 1
        self.remember(took_effect)

    def judge(self, wish: Wish, error: str | None, reasons: set[str]) -> None:
        """The contracts and the model must be of one mind."""
        if error is None:
            assert not reasons, f"{wish.verb} took effect in spite of {reasons}"
        else:
            assert error in reasons, f"{wish.verb} was refused with {error}, model: {reasons}"
            self.refused[wish.verb] += 1

    def take_effect(self, wishes: list[Wish]) -> None:
        """The effects of orders that had a transaction for themselves."""
        for wish in wishes:
            told = {log.values.get("digest") for log in self.desk.network.chain.logs}
            assert wish.digest in told, f"{wish.verb} was not told"
            self.must_tell(wish.verb)
            self.done[wish.verb] += 1
            self.remember([(wish, wish.effect())])

    def remember(self, took_effect: list[tuple[Wish, Redemption | None]]) -> None:
        """Keeps orders for replays, redemptions with their proofs, and totals for law 1."""
        self.count(self.desk.network.chain.logs)
        self.carried_out += [wish.wire for wish, _ in took_effect]
        redemptions = [(wish, made) for wish, made in took_effect if made is not None]
        newest = self.model.epoch()
        words = [
            (newest << 240)
            | sum(points << (35 * (newest - epoch)) for epoch, points in made.taken.items())
            for _, made in redemptions
        ]
        leaves = [
            redemption_leaf(wish.digest, word)
            for (wish, _), word in zip(redemptions, words, strict=True)
        ]
        for index, (wish, made) in enumerate(redemptions):
            assert wish.fields is not None
            names = ("member", "points", "nonce", "deadline", "ref")
            fields = {name: wish.fields[name] for name in names}
            fields |= {"buckets": words[index], "proof": merkle_proof(leaves, index)}
            self.kept.append(Kept(made, leaves[index], fields))

    def count(self, logs: list[Any]) -> None:
        """Sums over events, kept beside the model: law 1 and law 6 are about them."""
        for log in logs:
            if log.name in ("Issued", "Redeemed", "Refunded", "Returned"):
                self.totals[log.name] += log.values["points"]
            if log.name == "Refunded":
                given = self.refunds.setdefault(log.values["leaf"], Counter())
                given.update(buckets_of(log.values["buckets"]))
            if log.name == "EpochClosed":
                self.closed.append(log.values["epoch"])

    def must_tell(self, verb: str) -> None:
        """The events of the last transaction are at least those of the verb."""
        silent = TELLS.get(verb, set()) - {log.name for log in self.desk.network.chain.logs}
        assert not silent, f"{verb} did not tell {silent}"

    # ---- calls that are no orders

    def call(
        self, verb: str, reasons: set[str], effect: Callable[[], Any], act: Callable[[], Any]
    ) -> None:
        """One transaction of anyone or of the operator, judged like an order."""
        error = refusal(act)
        if error is None:
            assert not reasons, f"{verb} took effect in spite of {reasons}"
            self.must_tell(verb)
            self.count(self.desk.network.chain.logs)
            effect()
            self.done[verb] += 1
        else:
            assert error in reasons, f"{verb} was refused with {error}, model: {reasons}"
            self.refused[verb] += 1

    def pass_time(self, seconds: int) -> None:
        """Both clocks."""
        self.model.now += seconds
        self.desk.network.chain.at(self.model.now)
        self.done["time"] += 1

    def gift(self, amount: int) -> None:
        """Somebody sends the Coalition money without saying why: surplus."""
        desk = self.desk
        desk.send(desk.network.asset, TREASURY, "transfer", desk.network.coalition.address, amount)
        self.model.gifts += amount
        self.model.cash += amount
        self.done["gift"] += 1


__all__ = ["ATTESTOR", "MEMBERS", "SHOPS", "Kept", "Wish", "World"]
