"""Rules of the state machine: a lost key, the address that was named for it, and the objection."""

from __future__ import annotations

from banyan_kit.revm import DAY, ZERO
from hypothesis import strategies as st
from hypothesis.stateful import rule
from network_world import MEMBERS
from rules_base import DOOR, TWIST, WHO, NetworkBase


class RecoveryRules(NetworkBase):
    """Naming, starting and finishing a recovery. Any member may be named for any other."""

    @rule(who=WHO, other=WHO, twist=TWIST, door=DOOR)
    def name_recovery(self, who: int, other: int, twist: int, door: int) -> None:
        """Of nobody, now and then: that is how the old key objects."""
        member, nonce = MEMBERS[who].address, self.member_nonce(who, twist)
        recovery = ZERO if twist == 14 else MEMBERS[other].address
        self.member_order(
            "NameRecovery",
            who,
            lambda: self.model.why_not_name_recovery(member, recovery, nonce),
            lambda: self.model.name_recovery(member, recovery, nonce),
            door,
            member=member,
            recovery=recovery,
            nonce=nonce,
        )

    @rule(who=WHO, other=WHO, twist=TWIST, door=DOOR)
    def recover(self, who: int, other: int, twist: int, door: int) -> None:
        """By the address that was named, where one was; else by one that was not."""
        member = MEMBERS[who].address
        named = self.model.recovery_of(member).recovery
        by = next((i for i, key in enumerate(MEMBERS) if key.address == named), other)
        recovery, nonce = MEMBERS[by].address, self.member_nonce(by, twist)
        self.member_order(
            "Recover",
            by,
            lambda: self.model.why_not_recover(member, recovery, nonce),
            lambda: self.model.recover(member, recovery, nonce),
            door,
            member=member,
            recovery=recovery,
            nonce=nonce,
        )

    @rule(who=WHO)
    def finish_recovery(self, who: int) -> None:
        member = MEMBERS[who].address
        self.world.call(
            "finish recovery",
            self.model.why_not_finish_recovery(member),
            lambda: self.model.finish_recovery(member),
            lambda: self.desk.anyone("finishRecovery", member),
        )
        self.step(who=who)

    @rule(who=WHO, other=WHO, days=st.sampled_from((0, 0, 0, 6, 7, 7, 8)))
    def lose_a_key(self, who: int, other: int, days: int) -> None:
        """From beginning to end; when it takes eight days, the old key is found and objects."""
        if days == 0:  # Few people lose their keys.
            return
        self.empty_basket()
        self.name_recovery(who, other, 15, 0)
        self.recover(who, other, 15, 1)
        self.world.pass_time(days * DAY)
        if days > 7:
            self.name_recovery(who, other, 14, 0)
        self.finish_recovery(who)
        self.step(who=other)
