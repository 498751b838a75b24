"""The order book's tables. Alembic's revisions make them; a test holds the two together.

Rows are slim, since a year of purchases is hundreds of thousands of them: ids are 16 bytes, states
and kinds small numbers (`gateway.codes`). There are no foreign keys between orders and the rest:
rows are never deleted, and a check per inserted line costs more than it could ever find.
On PostgreSQL all of it lies in the schema `orders` (by search_path), on SQLite in orders.db.
"""

# Long because it is the whole order book on one page.

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

# SQLite gives out row numbers only to a column of the very type INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Money = BigInteger
"""Units of the settlement asset that the gateway itself holds; kept under 2^62 by `accept`."""

merchants = Table(
    "merchants",
    metadata,
    # The merchant's number on chain (uint32), chosen here.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("public_id", LargeBinary(16), nullable=False, unique=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("owner", LargeBinary(20), nullable=False),
    Column("till_key", LargeBinary(20), nullable=False),
    Column("earn_points", BigInteger, nullable=False),
    Column("earn_per_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("minor_digits", SmallInteger, nullable=False),
    # The next nonce of a till order; dense, given out at sealing.
    Column("next_nonce", BigInteger, nullable=False, server_default="1"),
    # The next nonce of an order of the owner, below zero (`codes.chain_nonce`).
    Column("next_owner_nonce", BigInteger, nullable=False, server_default="-9223372036854775808"),
    # What open issues, refunds and withdrawals will take.
    Column("held", Money, nullable=False, server_default="0"),
    # How often something was taken off it again: whoever decided by it sees whether it is the same.
    Column("releases", BigInteger, nullable=False, server_default="0"),
    # What its active webhook end points listen to, as bits: accepting reads this row anyway.
    Column("webhook_events", Integer, nullable=False, server_default="0"),
    # Points whose issue was accepted on that day (days of network time since 1970); kept only where
    # till keys have a daily cap.
    Column("cap_day", Integer, nullable=False, server_default="0"),
    Column("cap_points", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

members = Table(
    "members",
    metadata,
    # Also the index of the member's HD wallet.
    Column("id", Id, primary_key=True),
    Column("public_id", LargeBinary(16), nullable=False, unique=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("address", LargeBinary(20), nullable=False, unique=True),
    Column("joined_at", BigInteger),
    # The highest nonce that a final block used up.
    Column("nonce_highest", Integer, nullable=False, server_default="0"),
    # Points that open redemptions and transfers will take.
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("releases", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    # In the order in which they were made: of two keys the older one is revoked.
    Column("number", Id, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("secret_hash", LargeBinary(32), nullable=False),
    Column("role", Text, nullable=False),
    Column("merchant_id", BigInteger),
    # Whose key it is among several of one role: a till, a back office.
    Column("label", Text, nullable=False, server_default=""),
    # Names with spaces between; null: all that its role may do.
    Column("scopes", Text),
    # The member that it is bound to, and when it ends (wall clock, as the use below).
    Column("member_id", BigInteger),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("api_keys_by_merchant", "merchant_id"),
    Index(
        "api_keys_by_member",
        "member_id",
        sqlite_where=text("member_id IS NOT NULL"),
        postgresql_where=text("member_id IS NOT NULL"),
    ),
)

rate_buckets = Table(
    "rate_buckets",
    metadata,
    # Tokens of an API key, by its id; written on PostgreSQL alone, where processes share them.
    Column("name", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    # Seconds of the database's clock.
    Column("at", Double, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("address", LargeBinary(20), nullable=False, unique=True),
    # The envelope (gateway.custody.envelope); empty for a key that lies in KMS.
    Column("sealed", LargeBinary, nullable=False),
    # ARN of a key that never leaves KMS.
    Column("kms_key", Text),
    Column("created_at", BigInteger, nullable=False),
    Index("secrets_by_purpose", "tenant", "purpose"),
)

master_keys = Table(
    "master_keys",
    metadata,
    # The number in the envelopes that it wraps.
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    # JSON: salt and cost of scrypt, the ARN in KMS, a check value. Nothing secret.
    Column("parameters", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(
        "master_keys_active",
        "state",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
)

signing_charges = Table(
    "signing_charges",
    metadata,
    Column("address", LargeBinary(20), primary_key=True),
    # Of the order (till keys) or of the transaction (relayers): signed again it is charged once.
    Column("nonce", BigInteger, primary_key=True, autoincrement=False),
    # Days of network time since 1970.
    Column("day", Integer, nullable=False),
    Column("points", BigInteger, nullable=False),
    # Units of the settlement asset; of a relayer gwei.
    Column("money", Money, nullable=False),
    Index("signing_charges_by_day", "address", "day"),
)

idempotency = Table(
    "idempotency",
    metadata,
    # 0 is the operator, others are merchants.
    Column("tenant", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("body_hash", LargeBinary(32), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("answered_at", BigInteger, nullable=False),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", LargeBinary(16), nullable=False, unique=True),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Who asked, and whose references these are: a merchant, or 0 for the network itself.
    Column("merchant_id", BigInteger, nullable=False),
    Column("member_id", BigInteger, nullable=False),
    Column("to_member_id", BigInteger),
    Column("points", BigInteger, nullable=False),
    # Held until the end: money of the merchant (issue) or points of the member (redeem, transfer).
    Column("hold", Money, nullable=False),
    Column("reference", Text, nullable=False),
    Column("batch_id", BigInteger),
    # How often a batch that held it was proven dead.
    Column("voids", SmallInteger, nullable=False, server_default="0"),
    # A batch that held it was signed, and ended without effect: it has used its key's day.
    Column("signed_before", Boolean, nullable=False, server_default=false()),
    # Not written: which failed order one follows is found by the reference (`repository`).
    Column("follows_id", BigInteger),
    # The order that a refund or a return reverses.
    Column("of_id", BigInteger),
    # Of a return: the epoch of its points, and the points that were missing.
    Column("epoch", Integer),
    Column("shortfall", BigInteger),
    # When somebody asked to cancel it while its signature was out.
    Column("cancel_asked_at", BigInteger),
    Column("failure", Text),
    Column("failure_detail", Text),
    Column("accepted_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(
        "orders_reference",
        "merchant_id",
        "reference",
        unique=True,
        sqlite_where=text("state <> 9"),
        postgresql_where=text("state <> 9"),
    ),
    Index(
        "orders_failed",
        "merchant_id",
        "reference",
        "id",
        sqlite_where=text("state = 9"),
        postgresql_where=text("state = 9"),
    ),
    Index(
        "orders_waiting",
        "id",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
    Index(
        "orders_by_batch",
        "batch_id",
        sqlite_where=text("batch_id IS NOT NULL"),
        postgresql_where=text("batch_id IS NOT NULL"),
    ),
    Index("orders_by_member", "member_id", "id"),
    Index("orders_by_merchant", "merchant_id", "id"),
    Index(
        "orders_reversing",
        "of_id",
        sqlite_where=text("of_id IS NOT NULL"),
        postgresql_where=text("of_id IS NOT NULL"),
    ),
    Index(
        "orders_returning",
        "epoch",
        "merchant_id",
        sqlite_where=text("epoch IS NOT NULL AND state < 8"),
        postgresql_where=text("epoch IS NOT NULL AND state < 8"),
    ),
)

refusals = Table(
    "refusals",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", BigInteger, nullable=False),
    Column("member_id", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("refusals_by_merchant", "merchant_id", "id"),
    Index("refusals_by_member", "member_id", "id"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # The till key or member who signs the order; for a call the account that sends it.
    Column("signer", LargeBinary(20), nullable=False),
    Column("merchant_id", BigInteger),
    Column("member_id", BigInteger),
    # The signed order's own nonce and deadline (network time); a call has neither.
    Column("nonce", BigInteger),
    Column("deadline", BigInteger),
    Column("digest", LargeBinary(32), unique=True),
    # The signed order on the wire; for a call the target's 20 bytes (none: creation) and its data.
    Column("wire", LargeBinary),
    Column("order_count", Integer, nullable=False, server_default="0"),
    Column("points", BigInteger, nullable=False, server_default="0"),
    Column("gas", BigInteger, nullable=False, server_default="0"),
    Column("label", Text),
    # A call that may be sent only after another one took effect.
    Column("after_id", BigInteger),
    Column("slot_id", BigInteger),
    # The Cancel of its nonce, where somebody asked for one.
    Column("cancel_id", BigInteger),
    # Network time before which it is not offered again.
    Column("due_at", BigInteger, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    # Where it took effect.
    Column("block_number", BigInteger),
    Column("block_hash", LargeBinary(32)),
    Column("tx_hash", LargeBinary(32)),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index(
        "batches_live",
        "state",
        "id",
        sqlite_where=text("state < 8"),
        postgresql_where=text("state < 8"),
    ),
    Index(
        "batches_live_by_member",
        "member_id",
        sqlite_where=text("state < 8 AND member_id IS NOT NULL"),
        postgresql_where=text("state < 8 AND member_id IS NOT NULL"),
    ),
    Index("batches_by_slot", "slot_id"),
    Index("batches_by_label", "label"),
)

nonce_slots = Table(
    "nonce_slots",
    metadata,
    Column("id", Id, primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("relayer", LargeBinary(20), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Gas of the payload, fixed when the slot was reserved.
    Column("gas_limit", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("reserved_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("chain_id", "relayer", "nonce", name="nonce_slots_once"),
    Index(
        "nonce_slots_live",
        "id",
        sqlite_where=text("state < 8"),
        postgresql_where=text("state < 8"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("slot_id", BigInteger, nullable=False),
    Column("purpose", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    # The exact bytes: nothing else is ever sent.
    Column("raw", LargeBinary, nullable=False),
    Column("fee_cap", BigInteger, nullable=False),
    Column("tip", BigInteger, nullable=False),
    Column("offers", Integer, nullable=False, server_default="0"),
    Column("offered_at", BigInteger),
    Column("block_number", BigInteger),
    Column("block_hash", LargeBinary(32)),
    Column("reason", Text),
    Column("signed_at", BigInteger, nullable=False),
    Index("attempts_by_slot", "slot_id"),
    Index(
        "attempts_live",
        "id",
        sqlite_where=text("state < 8"),
        postgresql_where=text("state < 8"),
    ),
)

deposits = Table(
    "deposits",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", BigInteger, nullable=False),
    # keccak256 of the bank's reference: used once, here and on chain.
    Column("bank_reference", LargeBinary(32), nullable=False, unique=True),
    Column("amount", Money, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    # What the network is: the plan of its deployment, its accounts. Written once.
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

relayers = Table(
    "relayers",
    metadata,
    # What each relayer's account held when it was last looked at. Wei as decimal digits: it has
    # more than 64 bits.
    Column("address", LargeBinary(20), primary_key=True),
    Column("balance_wei", Text, nullable=False),
    # What one full transaction may cost now; who holds less is set aside.
    Column("needed_wei", Text, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("set_aside_at", BigInteger),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    # Whom or what it is about: a relayer's address, a block, a node.
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("noticed_at", BigInteger, nullable=False),
    # The cause went away by itself, or a person has taken note.
    Column("ended_at", BigInteger),
    Column("acknowledged_at", BigInteger),
    Column("acknowledged_by", Text),
    Index(
        "incidents_open",
        "kind",
        "subject",
        sqlite_where=text("ended_at IS NULL AND acknowledged_at IS NULL"),
        postgresql_where=text("ended_at IS NULL AND acknowledged_at IS NULL"),
    ),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    # Grows with every change of holder; writes that carry an older number are refused.
    Column("fence", BigInteger, nullable=False),
    # Milliseconds of the database's own clock: a lease is about processes, not network time.
    Column("expires_at", BigInteger, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("public_id", LargeBinary(16), nullable=False, unique=True),
    Column("merchant_id", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    # What it listens to, as bits (`gateway.webhooks.events.Event`).
    Column("events", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # Names of the sealed secrets in `secrets`: the one in use, and the one before it for a while.
    Column("secret", LargeBinary(20), nullable=False),
    Column("old_secret", LargeBinary(20)),
    Column("old_secret_until", BigInteger),
    # Attempts since the last that succeeded; and when it asked to be left alone until (wall clock).
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("not_before", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    # Wall clock: what waits for an end point that is switched off does not wait for ever.
    Column("changed_at", BigInteger, nullable=False),
    Index("webhook_endpoints_by_merchant", "merchant_id", "id"),
    Index(
        "webhook_endpoints_active",
        "id",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", Id, primary_key=True),
    # The webhook-id that receivers tell repetitions by.
    Column("public_id", LargeBinary(16), nullable=False, unique=True),
    Column("merchant_id", BigInteger, nullable=False),
    # None: a test event.
    Column("order_id", BigInteger),
    Column("sequence", Integer, nullable=False),
    Column("event", Integer, nullable=False),
    # The exact bytes that are signed and sent, however often and however late.
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("order_id", "sequence", name="webhook_events_once"),
    Index("webhook_events_by_merchant", "merchant_id", "created_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint_id", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    # All times here are wall clock: they are about processes and other people's servers.
    Column("due_at", BigInteger, nullable=False, server_default="0"),
    # Set by the first attempt: three days later it is given up.
    Column("expires_at", BigInteger, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    # Grows with every claim; a result that carries an older number is dropped.
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("last_status", SmallInteger),
    Column("last_outcome", Text),
    Column("ended_at", BigInteger),
    UniqueConstraint("endpoint_id", "event_id", name="webhook_deliveries_once"),
    Index(
        "webhook_deliveries_due",
        "endpoint_id",
        "due_at",
        "id",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
    Index(
        "webhook_deliveries_ended",
        "ended_at",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    Index("webhook_deliveries_by_event", "event_id"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    # None: no HTTP answer at all; `outcome` says why.
    Column("status", SmallInteger),
    Column("outcome", Text, nullable=False),
    # The first characters of what the receiver answered.
    Column("answer", Text, nullable=False),
    Index("webhook_attempts_by_delivery", "delivery_id", "id"),
)
