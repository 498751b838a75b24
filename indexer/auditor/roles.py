"""Who may do what: the AccessManager's roles, replayed from its logs and laid out in its storage.

That a caller had a role is the pinned code's own rule. What that code asks stands in storage, and a
role that was written there without a grant would open the operator's functions: so it is replayed
like everything else. Source: OpenZeppelin 5.7, `access/manager/AccessManager.sol`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from typing import Any, Final

from indexer.auditor.codec import keccak
from indexer.auditor.context import Context
from indexer.auditor.ledger import Ledger
from indexer.auditor.rules import Args
from indexer.auditor.storage import Fact, mapping_slot
from wallet_sdk.abi import load

ACCESS: Final = {"_targets": 0, "_roles": 1, "_schedules": 2, "_executionId": 3}
_ALL: Final = 2**256 - 1
_SINCE_MASK: Final = (1 << 48) - 1
_KEEPERS_MASK: Final = (1 << 128) - 1
_CLOSED_BIT: Final = 1 << 112


def granted(ctx: Context, args: Args) -> None:
    """A new member, or another delay of an old one: how that is packed follows the clock."""
    role, account, delay, since, is_new = args
    members = ctx.ledger.role_members
    members[(role, account)] = (
        (since, delay) if is_new else (members.get((role, account), (0, 0))[0], -1)
    )


def revoked(ctx: Context, args: Args) -> None:
    """Also by the member itself."""
    role, account = args
    ctx.ledger.role_members[(role, account)] = (0, 0)


def function_role_set(ctx: Context, args: Args) -> None:
    """Which role a function of a contract asks for."""
    target, selector, role = args
    ctx.ledger.function_roles[(target, selector)] = role


def admin_set(ctx: Context, args: Args) -> None:
    """Who grants the role."""
    role, admin = args
    ctx.ledger.role_keepers[role] = (admin, ctx.ledger.role_keepers.get(role, (0, 0))[1])


def guardian_set(ctx: Context, args: Args) -> None:
    """Who may stop what the role has scheduled."""
    role, guardian = args
    ctx.ledger.role_keepers[role] = (ctx.ledger.role_keepers.get(role, (0, 0))[0], guardian)


def grant_delay_set(ctx: Context, args: Args) -> None:
    """The delay is packed by the clock; that the word exists is known."""
    ctx.ledger.role_keepers.setdefault(args[0], (0, 0))


def target_closed(ctx: Context, args: Args) -> None:
    """A contract's restricted functions for nobody, or open again."""
    target, closed = args
    ctx.ledger.closed_targets[target] = bool(closed)


def admin_delay_set(ctx: Context, args: Args) -> None:
    """The delay shares a word with the closing."""
    ctx.ledger.closed_targets.setdefault(args[0], False)


def scheduled(ctx: Context, args: Args) -> None:
    """An operation that waits, or did; its slot is known, its time is the contract's own rule."""
    ctx.ledger.scheduled.add(args[0])


def _nothing(ctx: Context, args: Args) -> None:
    """A name for people."""


ROLE_EVENTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "RoleGranted": granted,
    "RoleRevoked": revoked,
    "TargetFunctionRoleUpdated": function_role_set,
    "RoleAdminChanged": admin_set,
    "RoleGuardianChanged": guardian_set,
    "RoleGrantDelayChanged": grant_delay_set,
    "TargetClosed": target_closed,
    "TargetAdminDelayUpdated": admin_delay_set,
    "RoleLabel": _nothing,
    **dict.fromkeys(("OperationScheduled", "OperationExecuted", "OperationCanceled"), scheduled),
}


def role_facts(ledger: Ledger, manager: bytes) -> Iterator[Fact]:
    """Members of roles, roles of functions, keepers of roles, closed contracts."""
    for (role, account), (since, delay) in ledger.role_members.items():
        where = mapping_slot(account, mapping_slot(role, ACCESS["_roles"]))
        word, mask = (since, _SINCE_MASK) if delay < 0 else (since | delay << 48, _ALL)
        yield Fact(manager, where, word, f"role {role} of 0x{account.hex()}", mask)
    for (target, selector), role in ledger.function_roles.items():
        where = mapping_slot(selector, mapping_slot(target, ACCESS["_targets"]))
        what = f"role for function 0x{selector[:4].hex()} of 0x{target.hex()}"
        yield Fact(manager, where, role, what)
    for role, (admin, guardian) in ledger.role_keepers.items():
        where = mapping_slot(role, ACCESS["_roles"]) + 1
        word = admin | guardian << 64
        yield Fact(manager, where, word, f"keepers of role {role}", _KEEPERS_MASK)
    for target, closed in ledger.closed_targets.items():
        where = mapping_slot(target, ACCESS["_targets"]) + 1
        what = f"whether 0x{target.hex()} is closed"
        yield Fact(manager, where, closed * _CLOSED_BIT, what, _CLOSED_BIT)
    for operation in ledger.scheduled:
        yield Fact(manager, mapping_slot(operation, ACCESS["_schedules"]), 0, "", 0)
    yield Fact(manager, ACCESS["_executionId"], 0, "the call that is being executed")


def touched_roles(ledger: Ledger, addresses: Iterator[bytes]) -> Iterator[int]:
    """What it reads when it is asked whether somebody may call something."""
    roles = {0, *ledger.role_keepers, *ledger.function_roles.values()}
    roles |= {role for role, _ in ledger.role_members}
    by_role = [mapping_slot(role, ACCESS["_roles"]) for role in sorted(roles)]
    yield from (slot + 1 for slot in by_role)
    for target in {*ledger.authorities, *(target for target, _ in ledger.function_roles)}:
        where = mapping_slot(target, ACCESS["_targets"])
        yield where + 1
        yield from (mapping_slot(selector, where) for selector in _selectors())
    for address in chain(addresses, ledger.authorities):
        yield from (mapping_slot(address, slot) for slot in by_role)
        yield mapping_slot(address, ACCESS["_targets"]) + 1


@cache
def _selectors() -> frozenset[bytes]:
    """Of every function of ours, as words: one that no role was set for was asked for all the
    same.
    """
    found = set()
    for name in ("AccessManager", "BankReceipt", "Points", "MembershipPass", "CoalitionOffice"):
        for entry in load(name)["abi"]:
            if entry["type"] == "function":
                types = ",".join(_type_of(part) for part in entry["inputs"])
                found.add(keccak(f"{entry['name']}({types})".encode())[:4].ljust(32, b"\0"))
    return frozenset(found)


def _type_of(part: dict[str, Any]) -> str:
    kind = str(part["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type_of(inner) for inner in part['components'])}){kind[5:]}"
