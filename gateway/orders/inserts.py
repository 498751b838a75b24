"""What accepting inserts: keys with their answers, orders, refusals, the audit's lines."""

from gateway.statements import Insert
from gateway.tables import audit, idempotency, orders, refusals

KEYS = Insert(idempotency, "tenant", "key", "body_hash", "answer", "answered_at")
ORDERS = Insert(
    orders,
    *("public_id", "kind", "state", "merchant_id", "member_id", "to_member_id"),
    *("points", "hold", "reference", "accepted_at", "changed_at"),
)
REFUSALS = Insert(refusals, "merchant_id", "member_id", "kind", "points", "reference", "code", "at")
AUDIT = Insert(audit, "at", "actor", "action", "subject", "detail")
