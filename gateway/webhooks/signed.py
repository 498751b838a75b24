"""The headers of a message: Standard Webhooks."""

from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

from gateway.webhooks.queue import Job

USER_AGENT: Final = "Banyan-Webhooks/1"


def signed(job: Job, at: int) -> dict[str, str]:
    """The headers of an attempt at `at` (unix seconds), signed with every secret that is valid."""
    body, moment = job.payload.decode(), datetime.fromtimestamp(at, UTC)
    signatures = [Webhook(secret).sign(job.event, moment, body) for secret in job.secrets]
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": job.event,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signatures),
    }
