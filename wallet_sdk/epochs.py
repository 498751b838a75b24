"""Epochs: buckets of time of fixed length; points of one epoch expire together.

A point lives through the epoch in which it was earned and the five that follow (`validity` 6, the
epoch of earning counted): points of epoch 1 are gone in the first second of epoch 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import Seconds

VALIDITY_EPOCHS: Final = 6
"""The packed account has six lanes, so no network can have another figure."""
EPOCH_MAX: Final = 2**16 - 1
"""The account keeps the epoch of its newest bucket in 16 bits."""


@dataclass(frozen=True, slots=True)
class EpochSchedule:
    """The same arithmetic as Points: `first_start` is the unix second at which epoch 1 begins,
    `length` in seconds.
    """

    first_start: Seconds
    length: Seconds
    validity: int = VALIDITY_EPOCHS

    def __post_init__(self) -> None:
        if self.first_start < 0 or self.length <= 0 or self.validity <= 0:
            raise InputInvalid(
                f"no schedule: first start {self.first_start}, length {self.length} s, "
                f"validity {self.validity} epochs"
            )

    def epoch_at(self, t: Seconds) -> int:
        """The epoch of second `t`; the first is 1. Raises InputInvalid before the first."""
        if t < self.first_start:
            raise InputInvalid(
                f"second {t} lies before the first epoch, which begins at {self.first_start}"
            )
        return (t - self.first_start) // self.length + 1

    def start(self, epoch: int) -> Seconds:
        """First unix second of `epoch`."""
        if epoch < 1:
            raise InputInvalid(f"the first epoch is 1, got {epoch}")
        return self.first_start + (epoch - 1) * self.length

    def end(self, epoch: int) -> Seconds:
        """Last unix second of `epoch`, as `Points.epochEnd`."""
        return self.start(epoch) + self.length - 1

    def expires_at(self, epoch: int) -> Seconds:
        """The first unix second at which points of `epoch` are gone."""
        return self.start(epoch + self.validity)

    def is_expired(self, epoch: int, t: Seconds) -> bool:
        """Whether points of `epoch` are gone at second `t`."""
        return t >= self.expires_at(epoch)

    def live_epochs(self, t: Seconds) -> range:
        """The epochs whose points are live at second `t`, soonest to expire first."""
        current = self.epoch_at(t)
        return range(max(1, current - self.validity + 1), current + 1)
