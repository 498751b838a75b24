"""A till on Banyan: issue for a purchase, survive a cut line, redeem.

    BANYAN_URL=http://127.0.0.1:8000 BANYAN_KEY=bnk_... python examples/pos.py CARD 12.34 [POINTS]

CARD is the number on the customer's card, 12.34 what was paid, POINTS what the customer spends.
"""

import os
import sys
import uuid
from pathlib import Path

from wallet_sdk.client import (
    FolderOutbox,
    GatewayClient,
    GatewayRefused,
    GatewayUnavailable,
    Order,
    Purchase,
)


def till() -> GatewayClient:
    """The till's line to the gateway; what was sent without an answer survives in a folder."""
    return GatewayClient(
        os.environ["BANYAN_URL"],
        os.environ["BANYAN_KEY"],
        timeout_s=2,  # a queue of people waits
        patience_s=6,  # the client itself repeats so long, under the same key
        outbox=FolderOutbox(Path(os.environ.get("BANYAN_OUTBOX", ".till"))),
    )


def show(what: str, order: Order) -> None:
    print(f"{what} {order.points} points: {order.state}, {order.id}")


def main(card: str, paid: str, spend: int) -> int:
    with till() as gateway:
        # Whatever the last run could not finish goes first: same request, same key, same answer.
        for key, outcome in gateway.resend_pending().items():
            print(f"left over {key}: {outcome}")
        try:
            member = gateway.create_member(card)
            receipt = f"till-1/{uuid.uuid4()}"  # the till's own number of this purchase
            show("issued", gateway.issue(member.id, receipt, purchase=Purchase(paid, "USD")))
            if spend:
                show("redeemed", gateway.redeem(member.id, f"{receipt}/paid", spend))
        except GatewayRefused as refusal:  # decided: say why and go on with the sale
            print(f"not now ({refusal.code}): {refusal}")
            return 1
        except GatewayUnavailable as unknown:  # not decided: the next run sends it again
            print(f"line down, kept as {unknown.idempotency_key}: {unknown}")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0))
