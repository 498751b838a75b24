"""The mirror's tables, for both databases. `docs/MIRROR.md` documents them for people.

Every row is a function of logs and block times alone, so two mirrors of one chain are equal row by
row. `id` = block x 1,000,000 + log index: it names a log, sorts by time of the chain, and a range
of blocks is a range of ids.

Three kinds of tables:

- facts, appended: blocks, transactions, events, movements, and `pieces`: whose points of which
  epoch a movement took, which no later statement can find out without replaying all before it;
- journals, appended: versions that carry an `id` or `block` "since when"; the newest row up to an
  id is the state there;
- totals: merchant_epochs, merchant_months, flows, kept with every block; `carried`, balances summed
  up to a log that nothing undoes any more.

Journals and totals are sums over facts, so a rebuild is one statement for each (`derive`). Undoing
blocks deletes rows above an id and subtracts their sums from the few totals (`reorg`). What follows
from the rows by adding alone is a view: entries, balances.
"""

# Long because it is one schema, read as a whole.

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

SCHEMA_VERSION: Final = 4
"""Raised with every change of a table or of what a row means; other versions are rebuilt."""

IDS_PER_BLOCK: Final = 1_000_000
"""A log costs at least 375 gas, so a block of 60 million gas holds at most 160,000."""


def id_of(block: int, log_index: int) -> int:
    """The id of a log. Raises ValueError past the last id of a block."""
    if not 0 <= log_index < IDS_PER_BLOCK:
        raise ValueError(f"log index {log_index} in block {block} is out of range")
    return block * IDS_PER_BLOCK + log_index


def first_id(block: int) -> int:
    """The lowest id that a log of `block` can have."""
    return block * IDS_PER_BLOCK


def block_of(log_id: int) -> int:
    """The block that holds the log."""
    return log_id // IDS_PER_BLOCK


class Money(TypeDecorator[int]):
    """Units of the settlement asset, exact: NUMERIC(78,0) on PostgreSQL holds any uint256, INTEGER
    on SQLite 63 bits; beyond them writing fails loudly.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(78, 0))

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


metadata = MetaData()


def _keyed(name: str, *columns: SchemaItem) -> Table:
    # SQLite keeps a table without rowid in the order of its key: one tree instead of two.
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def _id(name: str = "id", **options: Any) -> Column[int]:
    # INTEGER PRIMARY KEY is the row's own place in SQLite; there INTEGER has 64 bits.
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), **options)


mirror_schema = Table(
    "mirror_schema",
    metadata,
    Column("version", Integer, primary_key=True),
)
"""The version of these tables: one row."""

network = Table(
    "network",
    metadata,
    Column("one", SmallInteger, primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("genesis_hash", LargeBinary, nullable=False),
    Column("first_block", BigInteger, nullable=False),
    Column("coalition", LargeBinary, nullable=False),
    Column("points", LargeBinary, nullable=False),
    Column("face_value", Money, nullable=False),
    Column("epoch_first_start", BigInteger, nullable=False),
    Column("epoch_length", BigInteger, nullable=False),
    Column("validity", SmallInteger, nullable=False),
)
"""What the mirror is of: one row, from the deployment file."""

coalitions = Table(
    "coalitions",
    metadata,
    _id(primary_key=True, autoincrement=False),
    Column("address", LargeBinary, nullable=False),
)
"""Which Coalition Points obeyed since when: a row for each CoalitionChanged, the constructor's of
Points included. Logs of `address` count from the one after `id` on."""

coalition_codes = Table(
    "coalition_codes",
    metadata,
    _id(primary_key=True, autoincrement=False),
    Column("code_hash", LargeBinary, nullable=False),
    Column("is_known", Boolean, nullable=False),
)
"""What code the Coalition of `coalitions.id` was found to run; `is_known`: the deployment file pins
it, or it is this version's. What a node said when it was asked, no function of logs: not in the
digest, and it decides nothing."""

progress = Table(
    "progress",
    metadata,
    Column("one", SmallInteger, primary_key=True),
    Column("block", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("final_block", BigInteger, nullable=False),
    Column("carried_to", BigInteger, nullable=False, server_default="0"),
)
"""The cursor: the last block read, the last that was final then, and the first id whose points are
not in `carried` yet. One row; not in the digest, since blocks without our logs move it."""

tail = _keyed(
    "tail",
    Column("number", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("parent_hash", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
)
"""Headers of every block that is not final yet, and of the last final one. Not in the digest."""

blocks = Table(
    "blocks",
    metadata,
    _id("number", primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("parent_hash", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("month", Integer, nullable=False),
    Column("logs_so_far", BigInteger, nullable=False),
    Column("members_so_far", BigInteger, nullable=False),
    Column("batches_so_far", BigInteger, nullable=False),
    Column("redemptions_so_far", BigInteger, nullable=False),
    Column("transfers_so_far", BigInteger, nullable=False),
)
"""Blocks that hold a log of ours. `month` is yyyymm of the block's time in UTC; `*_so_far` count up
to and with this block."""
Index("blocks_by_time", blocks.c.time)

transactions = _keyed(
    "transactions",
    Column("block", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
)
"""Transactions that made a log of ours; `position` in the block."""

movements = Table(
    "movements",
    metadata,
    _id(primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("sender", LargeBinary),
    Column("receiver", LargeBinary),
    Column("points", BigInteger, nullable=False),
    Column("merchant", BigInteger),
    Column("epoch", Integer),
)
"""Every Transfer of Points. `kind`: issue, redeem, refund, return, transfer. `sender` is null for
points that came into being, `receiver` for points that ended; `merchant` is the issuing or the
honouring one. `position` is the transaction's. `epoch` is an issue's; what other movements took is
told by `pieces`."""
for _column in (movements.c.sender, movements.c.receiver):
    Index(
        f"movements_by_{_column.name}",
        _column,
        movements.c.id,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

pieces = _keyed(
    "pieces",
    Column("id", BigInteger, primary_key=True),
    Column("piece", Integer, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("issuer", BigInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("lot", BigInteger),
    Column("lot_piece", Integer),
    Column("lot_left", BigInteger),
)
"""What a movement that is no issue moved, one row for each epoch and issuing merchant. Within an
account's epoch what came in first goes out first: `lot` and `lot_piece` name the movement that came
in and in which this piece ended, `lot_left` what of it was left then. The next spend of that epoch
goes on there. Null for refunds, which take nothing out of an account."""

events = Table(
    "events",
    metadata,
    _id(primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("contract", String(16), nullable=False),
    Column("name", String(32)),
    Column("digest", LargeBinary),
    Column("merchant", BigInteger),
    Column("member", LargeBinary),
    Column("epoch", Integer),
    Column("points", BigInteger),
    Column("amount", Money),
    Column("balance", Money),
    Column("leaf", LargeBinary),
    Column("arguments", String, nullable=False),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""Every other log of our contracts, raw (`topics` joined, `data`) and decoded (`arguments`, JSON in
the order of the ABI, integers beyond 53 bits as strings). `contract` is Coalition for the one that
Points obeyed then, Predecessor for an earlier one. `amount` is what the event did to the
merchant's position, with its sign, and `balance` the position after it. `leaf` is the redemption
that a refund gave back out of."""
for _name, _column in (("merchant", events.c.merchant), ("digest", events.c.digest)):
    Index(
        f"events_by_{_name}",
        _column,
        events.c.id,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )
Index(
    "events_by_leaf",
    events.c.leaf,
    sqlite_where=events.c.leaf.is_not(None),
    postgresql_where=events.c.leaf.is_not(None),
)

carried = _keyed(
    "carried",
    Column("account", LargeBinary, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("received", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
)
"""What an account received and gave up of each epoch before the log `progress.carried_to`: sums
carried forward now and then, below finality, so that no block at the head and no fork touches them.
The view `balances` adds what came since. Not in the digest, since the moment of carrying is free.
"""

supply = _keyed(
    "supply",
    Column("epoch", Integer, primary_key=True),
    Column("block", BigInteger, primary_key=True),
    Column("issued", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("redeemed", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
)
"""Points of an epoch, summed up to and with `block`; unspent = issued - returned - redeemed +
refunded."""
Index("supply_by_block", supply.c.block)

merchants = _keyed(
    "merchants",
    Column("merchant", BigInteger, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("owner", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("credit_limit", Money, nullable=False),
    Column("profile_hash", LargeBinary, nullable=False),
)
"""Versions of a merchant; `status` as in the contract (1 active, 2 suspended, 3 leaving, 4
closed)."""
Index("merchants_by_id", merchants.c.id)

till_keys = _keyed(
    "till_keys",
    Column("key", LargeBinary, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("merchant", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
)
"""Versions of a till key."""
Index("till_keys_by_id", till_keys.c.id)

members = _keyed(
    "members",
    Column("account", LargeBinary, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("is_member", Boolean, nullable=False),
)
"""Versions of the member bit."""
Index("members_by_id", members.c.id)

passes = _keyed(
    "passes",
    Column("programme", BigInteger, primary_key=True),
    Column("member", LargeBinary, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("held", Boolean, nullable=False),
    Column("tier", Money, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
)
"""Versions of a membership pass; programme 0 is the coalition's. `held` is false once burnt."""
Index("passes_by_id", passes.c.id)

terms = _keyed(
    "terms",
    Column("from_epoch", Integer, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("issue_fee", Money, nullable=False),
    Column("redeem_fee", Money, nullable=False),
    Column("issuers_share_bps", Integer, nullable=False),
)
"""Terms from an epoch on, units a point."""
Index("terms_by_id", terms.c.id)

closed_epochs = _keyed(
    "closed_epochs",
    Column("epoch", Integer, primary_key=True),
    Column("id", BigInteger, nullable=False),
    Column("unspent", Money, nullable=False),
    Column("issuers_pool", Money, nullable=False),
    Column("operators_part", Money, nullable=False),
)
"""Expired epochs whose breakage was booked: `unspent` points at face value, and who gets it."""
Index("closed_epochs_by_id", closed_epochs.c.id)

treasury = Table(
    "treasury",
    metadata,
    _id(primary_key=True, autoincrement=False),
    Column("held", Money, nullable=False),
    Column("deposited", Money, nullable=False),
    Column("withdrawn", Money, nullable=False),
    Column("guarantee", Money, nullable=False),
    Column("income_withdrawn", Money, nullable=False),
    Column("breakage_claimed", Money, nullable=False),
)
"""Versions of the Coalition's money: the asset it holds by the asset's own logs, and sums of what
was deposited, withdrawn, guaranteed and claimed."""

merchant_epochs = _keyed(
    "merchant_epochs",
    Column("merchant", BigInteger, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("issued", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
)
"""What a merchant issued in an epoch, and what of it was returned to it: the Coalition's count."""

merchant_months = _keyed(
    "merchant_months",
    Column("merchant", BigInteger, primary_key=True),
    Column("month", Integer, primary_key=True),
    *(
        Column(name, BigInteger, nullable=False)
        for name in (
            "batches",
            "issued",
            "redemptions",
            "redeemed",
            "refunds",
            "refunded",
            "returns",
            "returned",
        )
    ),
    *(
        Column(name, Money, nullable=False)
        for name in (
            "charged",
            "paid",
            "taken_back",
            "credited",
            "deposited",
            "withdrawn",
            "claimed",
        )
    ),
)
"""A merchant's trade in a month (UTC): how often, how many points, and what it meant in money:
`charged` for issues, `paid` for redemptions, `taken_back` for refunds, `credited` for returns."""

flows = _keyed(
    "flows",
    Column("issuer", BigInteger, primary_key=True),
    Column("merchant", BigInteger, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("month", Integer, primary_key=True),
    Column("redeemed", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
)
"""Points that `issuer` issued in `epoch` and `merchant` honoured in `month`, first in first out
within a member's epoch; refunds take the last matched back first. `returned`: burnt when goods came
back to `merchant`."""

FACTS: Final = (blocks, transactions, movements, pieces, events)
JOURNALS: Final = (
    coalitions,
    supply,
    merchants,
    till_keys,
    members,
    passes,
    terms,
    closed_epochs,
    treasury,
)
TOTALS: Final = (merchant_epochs, merchant_months, flows)
