"""Money that the bank has received, as the operator's calls: receipts, deposits, guarantees.

Two people mint receipts: the treasurer proposes, the attestor confirms; only then the operator
deposits them. Each step is a call of its own key and waits for the one before it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from gateway.custody import Custody, Purpose
from gateway.operator import calls
from gateway.tables import deposits
from wallet_sdk.contracts import Call, Network
from wallet_sdk.types import digest_of, keccak256


class Treasury:
    """Stores calls in the caller's transaction; the relay carries them out."""

    def __init__(self, custody: Custody, network: Network) -> None:
        self._custody = custody
        self._make = network.calls

    def deposit(
        self, connection: Connection, number: int, amount: int, bank_reference: str, now: int
    ) -> bool:
        """Deposits `amount` for merchant `number`; False: this bank reference was booked before."""
        reference = keccak256(bank_reference.encode())
        c = deposits.c
        used = select(c.id).where(c.bank_reference == reference)
        if connection.execute(used).one_or_none() is not None:
            return False
        minted = self._mint(connection, reference, amount, now)
        wanted = [(Purpose.OPERATOR, self._make.deposit(number, amount))]
        row = {
            "merchant_id": number,
            "bank_reference": reference,
            "amount": amount,
            "batch_id": self._chained(connection, wanted, now, after=minted, merchant=number),
            "created_at": now,
        }
        connection.execute(insert(deposits), row)
        return True

    def grant_credit(
        self, connection: Connection, number: int, slug: str, limit: int, now: int
    ) -> None:
        """A credit limit is covered by a guarantee of the operator's, so that comes first."""
        minted = self._mint(connection, keccak256(f"guarantee for {slug}".encode()), limit, now)
        wanted = [
            (Purpose.OPERATOR, self._make.deposit_guarantee(limit)),
            (Purpose.OPERATOR, self._make.set_credit_limit(number, limit)),
        ]
        self._chained(connection, wanted, now, after=minted, merchant=number)

    def _mint(self, connection: Connection, reference: bytes, amount: int, now: int) -> int:
        accounts = self._custody.network_addresses_in(connection)
        named = digest_of(reference)
        wanted = [
            (
                Purpose.TREASURER,
                self._make.propose_mint(named, accounts[Purpose.OPERATOR], amount),
            ),
            (Purpose.ATTESTOR, self._make.confirm_mint(named)),
        ]
        return self._chained(connection, wanted, now)

    def _chained(
        self,
        connection: Connection,
        wanted: Sequence[tuple[Purpose, Call]],
        now: int,
        *,
        after: int | None = None,
        merchant: int | None = None,
    ) -> int:
        """Calls one after the other; returns the last one's row number."""
        accounts = self._custody.network_addresses_in(connection)
        last = after
        for purpose, call in wanted:
            last = calls.enqueue(
                connection,
                sender=accounts[purpose],
                to=call.to,
                data=call.data,
                label=call.label,
                merchant=merchant,
                after=last,
                now=now,
            )
        assert last is not None
        return last
