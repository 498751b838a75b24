"""What a process counts from its start: each gateway's metrics show it beside the order book's."""

from typing import Final

from prometheus_client import Counter

GAS_USED: Final = Counter(
    "banyan_gas_used", "Gas of mined transactions that this process settled.", registry=None
)
MINED: Final = Counter(
    "banyan_transactions_mined",
    "Mined transactions that this process settled, by outcome.",
    ("outcome",),
    registry=None,
)
SIGNING_REFUSED: Final = Counter(
    "banyan_signing_refused",
    "Batches that a key would not sign, by code (a rule, or the day's cap).",
    ("code",),
    registry=None,
)
WEBHOOKS: Final = Counter(
    "banyan_webhook_attempts",
    "Webhooks that this process sent, by what came of it.",
    ("outcome",),
    registry=None,
)

ALL: Final = (GAS_USED, MINED, SIGNING_REFUSED, WEBHOOKS)
