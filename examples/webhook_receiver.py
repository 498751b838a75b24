"""A receiver of Banyan's webhooks: verify, drop repetitions, keep the latest of each order.

BANYAN_WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py 9000
"""

import os
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from wallet_sdk.errors import WebhookRefused
from wallet_sdk.webhooks import verify_webhook

SECRETS = os.environ["BANYAN_WEBHOOK_SECRET"].split()  # two, while one takes over from the other
BODY_BYTES_MAX = 65_536  # a message is about 500 bytes
store = sqlite3.connect(os.environ.get("BANYAN_WEBHOOK_STORE", "orders.sqlite"))
store.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, sequence INT, state TEXT)")


class Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), BODY_BYTES_MAX))
        try:
            event = verify_webhook(body, dict(self.headers), *SECRETS)
        except WebhookRefused as refusal:  # forged, or recorded: say no, and do nothing
            self.send_error(400, refusal.code)
            return
        if event.order is not None:
            # Repeated or overtaken events change nothing: the higher sequence stands.
            store.execute(
                "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET sequence ="
                " excluded.sequence, state = excluded.state WHERE excluded.sequence > sequence",
                (event.order.id, event.sequence, event.order.state.value),
            )
            store.commit()  # kept first, answered after
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
