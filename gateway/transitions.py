"""The four state machines of an order's life. These tables are the truth: the tests hold every
change that the database sees against them, and `docs/ORDERS.md` draws them.

`None` is where a row comes from. A change that is not named here is a bug.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from gateway.codes import AttemptState, BatchState, SlotState, State

Edges = Mapping[IntEnum | None, frozenset[IntEnum]]

ORDER: Final[Edges] = {
    None: frozenset({State.ACCEPTED, State.INCLUDED}),
    State.ACCEPTED: frozenset({State.BATCHED, State.INCLUDED, State.FAILED}),
    State.BATCHED: frozenset({State.SUBMITTED, State.INCLUDED, State.ACCEPTED, State.FAILED}),
    State.SUBMITTED: frozenset({State.INCLUDED, State.BATCHED, State.ACCEPTED, State.FAILED}),
    State.INCLUDED: frozenset({State.FINAL, State.SUBMITTED}),
    State.FINAL: frozenset({State.SUBMITTED, State.INCLUDED}),
    State.FAILED: frozenset(),
}

BATCH: Final[Edges] = {
    None: frozenset({BatchState.OPEN, BatchState.SEALED}),
    BatchState.OPEN: frozenset({BatchState.SEALED, BatchState.VOID}),
    BatchState.SEALED: frozenset({BatchState.DONE, BatchState.VOID}),
    BatchState.DONE: frozenset({BatchState.SEALED}),
    BatchState.VOID: frozenset(),
}

SLOT: Final[Edges] = {
    None: frozenset({SlotState.RESERVED, SlotState.OURS, SlotState.STRANGERS}),
    SlotState.RESERVED: frozenset({SlotState.FILLED, SlotState.OURS, SlotState.STRANGERS}),
    SlotState.FILLED: frozenset({SlotState.OURS, SlotState.STRANGERS}),
    SlotState.OURS: frozenset({SlotState.FILLED}),
    SlotState.STRANGERS: frozenset(),
}

ATTEMPT: Final[Edges] = {
    None: frozenset({AttemptState.SIGNED}),
    AttemptState.SIGNED: frozenset(
        {AttemptState.OFFERED, AttemptState.MINED, AttemptState.SUPERSEDED}
    ),
    AttemptState.OFFERED: frozenset({AttemptState.MINED, AttemptState.SUPERSEDED}),
    AttemptState.MINED: frozenset({AttemptState.FINAL, AttemptState.OFFERED}),
    AttemptState.FINAL: frozenset({AttemptState.OFFERED}),
    AttemptState.SUPERSEDED: frozenset(),
}

MACHINES: Final[Mapping[str, Edges]] = {
    "orders": ORDER,
    "batches": BATCH,
    "nonce_slots": SLOT,
    "attempts": ATTEMPT,
}
"""By table."""
