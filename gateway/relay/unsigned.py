"""Accounts whose key does not sign at this moment: said, and left alone for a while."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from gateway.errors import CustodyError, GatewayError
from gateway.observe.counters import SIGNING_REFUSED
from wallet_sdk.types import address_of

log = logging.getLogger(__name__)

REFUSED_S: Final = 60.0
"""A refusal (a day's cap, a rule, a damaged secret) is asked about again after so many seconds."""

SILENT_S: Final = 5.0
"""A key that could not be asked; each silence of a KMS may have cost a time-out already."""

HANDED_ON_AFTER_S: Final = 60
"""A nonce that waits for a silent key for so long (network time) gives what it carries away."""


class Unsigned:
    """Which accounts are left alone, and until when (monotonic seconds)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[bytes, float] = {}

    def accounts(self) -> list[bytes]:
        """Those that are not asked to sign now."""
        now = self._clock()
        self._until = {account: until for account, until in self._until.items() if until > now}
        return sorted(self._until)

    def note(self, slot: Any, error: GatewayError, now: int) -> bool:
        """The key of the slot's account did not sign. True: what the slot carries may go to others.

        `now`: network time.
        """
        account = bytes(slot.relayer)
        where = f"nonce {slot.nonce} of {address_of(account)}"
        if isinstance(error, CustodyError):
            self._until[account] = self._clock() + REFUSED_S
            SIGNING_REFUSED.labels(error.code).inc()
            log.error("%s is not signed (%s): %s", where, error.code, error.message)
            return True
        self._until[account] = self._clock() + SILENT_S
        log.warning("%s cannot be signed now: %s", where, error.message)
        return bool(now - slot.reserved_at >= HANDED_ON_AFTER_S)
