# Long because every refusal there is stands on this one page.
"""What the gateway refuses, and the code it says so with.

    BanyanError
    └── GatewayError                  a code, a status, one sentence, the wrong values
        ├── InvalidRequest            422  the request itself can never be carried out
        │   ├── PointsInvalid         422  not a whole number from 1 to 2^35 - 1
        │   ├── PurchaseInvalid       422  amount or currency do not fit the merchant's earn rule
        │   ├── TooManyLines          422  more than 10,000 lines in one request
        │   ├── WebhookUrlRefused     422  no URL, or one that webhooks do not go to
        │   ├── MediaTypeUnsupported  415  a body that does not say that it is JSON
        │   ├── CursorInvalid         400  a page cursor that this list has not given out
        │   ├── IdempotencyKeyMissing 400
        │   └── IdempotencyKeyReused  422  same key, other body
        ├── Unauthenticated           401
        ├── Forbidden                 403
        ├── RateLimited               429  with `Retry-After`
        ├── NotFound                  404
        │   ├── MemberUnknown         404
        │   ├── MerchantUnknown       404
        │   ├── OrderUnknown          404
        │   ├── WebhookEndpointUnknown 404
        │   ├── WebhookEventUnknown   404
        │   └── ApiKeyUnknown         404
        ├── Conflict                  409
        │   ├── IdempotencyKeyInUse   409  the first request under this key is still running
        │   ├── ReferenceUsed         409  an order that has not failed holds (merchant, reference)
        │   ├── BalanceTooLow         409  may pass, once the member has earned
        │   ├── CreditLimitExceeded   409  may pass, once the merchant has deposited
        │   ├── DailyCapExceeded      409  more than the merchant's till may issue today
        │   ├── MerchantNotActive     409
        │   ├── OrderNotReversible    409  not of the right kind, or not final yet
        │   ├── EpochExpired          409  that part of the points has expired for good
        │   ├── RefundTooHigh         409  more than the redemption took, less what was given back
        │   ├── ReturnTooHigh         409  more than the purchase earned, less what came back
        │   ├── ReturnWindowOver      409  earned before the previous epoch
        │   ├── NothingToReturn       409  all of it is shortfall: there is nothing to take back
        │   ├── ShortfallChanged      409  more is missing than the till was shown
        │   ├── PositionTooLow        409  a withdrawal never draws credit
        │   ├── OrderNotCancellable   409  it took effect, or is over
        │   ├── TooManyWebhookEndpoints 409
        │   └── WebhookEndpointOff    409  switched off, or gone; switch it on first
        ├── NotReady                  503  the chain or the mirror cannot be asked now; try again
        │   ├── NetworkNotBegun       503  before the first epoch nothing is issued
        │   ├── LeaseLost             503  another process does this work now
        │   └── Closed                503  an incident keeps this closed until somebody acts
        ├── SettingsWrong             500  a setting that cannot be followed; said at start
        ├── BackupFailed              500  a copy that is not complete, or not what was copied
        ├── SchemaUnknown             500  the database belongs to a newer program; said at start
        ├── BookDamaged               500  its file holds other bytes than were written; at start
        └── CustodyError              500  a secret cannot be opened; never carries the secret
            ├── MasterKeyUnsafe       500
            ├── SecretDamaged         500
            ├── KeyUnknown            500
            └── SigningRefused        500  not on the list of what this key may sign
                └── SigningCapReached 500  the key's cap of the day is used up

Every class has a stable `code`; `gateway.problems` turns it into RFC 9457 problem+json at the
border.
"""

from typing import Any, ClassVar

from wallet_sdk.errors import BanyanError


class GatewayError(BanyanError):
    """Root of everything that the gateway refuses.

    Attributes:
        code: stable, documented name of the refusal.
        message: one sentence for a person, with the value that was wrong.
        values: the wrong values by name, shown in the problem document.
    """

    code: str = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(self.code, message)
        self.values = values


class InvalidRequest(GatewayError):
    """The request can never be carried out as it stands."""

    code = "invalid_request"
    status = 422


class PointsInvalid(InvalidRequest):
    """Points are whole, from 1 to 34,359,738,367 (35 bits, a bucket of the packed account)."""

    code = "points_invalid"


class PurchaseInvalid(InvalidRequest):
    """The purchase's amount or currency do not fit the merchant's earn rule."""

    code = "purchase_invalid"


class TooManyLines(InvalidRequest):
    """One request carries at most 10,000 lines, so that one commit stays well under a second."""

    code = "too_many_lines"


class MediaTypeUnsupported(InvalidRequest):
    """Bodies are JSON, and say so: `Content-Type: application/json`."""

    code = "media_type_unsupported"
    status = 415


class CursorInvalid(InvalidRequest):
    """A page cursor that this list has not given out to you: begin at the first page."""

    code = "cursor_invalid"
    status = 400


class IdempotencyKeyMissing(InvalidRequest):
    """Every POST names its key, so that a repetition after a time-out is harmless."""

    code = "idempotency_key_missing"
    status = 400


class IdempotencyKeyReused(InvalidRequest):
    """The key was used for another body."""

    code = "idempotency_key_reused"


class WebhookUrlRefused(InvalidRequest):
    """The URL is none, or leads where no webhook goes: into a private network, or without TLS."""

    code = "webhook_url_refused"


class Unauthenticated(GatewayError):
    """No API key, or one that is not known or was revoked."""

    code = "unauthenticated"
    status = 401


class Forbidden(GatewayError):
    """The key's role does not reach this route."""

    code = "forbidden"
    status = 403


class RateLimited(GatewayError):
    """The key asks too often; `retry_after_s` says when to come back. Nothing was done."""

    code = "rate_limited"
    status = 429


class NotFound(GatewayError):
    """Not there, or not yours: the two look alike on purpose."""

    code = "not_found"
    status = 404


class MemberUnknown(NotFound):
    """No member has this id."""

    code = "member_unknown"


class MerchantUnknown(NotFound):
    """No merchant has this id."""

    code = "merchant_unknown"


class OrderUnknown(NotFound):
    """No order of yours has this id."""

    code = "order_unknown"


class WebhookEndpointUnknown(NotFound):
    """No webhook end point of yours has this id."""

    code = "webhook_endpoint_unknown"


class WebhookEventUnknown(NotFound):
    """No event of yours has this id (any more: events are kept for 30 days)."""

    code = "webhook_event_unknown"


class ApiKeyUnknown(NotFound):
    """No API key of yours has this id."""

    code = "api_key_unknown"


class Conflict(GatewayError):
    """Refused as things stand; the same wish may pass later."""

    code = "conflict"
    status = 409


class IdempotencyKeyInUse(Conflict):
    """The first request under this key has not been answered yet; ask again in a moment."""

    code = "idempotency_key_in_use"


class ReferenceUsed(Conflict):
    """An order that has not failed already holds this reference of the merchant."""

    code = "reference_used"


class BalanceTooLow(Conflict):
    """The member's live points, less what open orders hold, do not reach."""

    code = "balance_too_low"


class CreditLimitExceeded(Conflict):
    """The merchant's position and credit limit, less what open orders hold, do not reach."""

    code = "credit_limit_exceeded"


class DailyCapExceeded(Conflict):
    """More than the merchant's till may issue in a day (UTC, network time): `available` are left
    until `next_day_at`. An order of more than `cap` points never passes.
    """

    code = "daily_cap_exceeded"


class MerchantNotActive(Conflict):
    """The merchant is not (yet, or any longer) allowed to do this."""

    code = "merchant_not_active"


class OrderNotReversible(Conflict):
    """The order is not of the kind that this reverses, or not final yet."""

    code = "order_not_reversible"


class EpochExpired(Conflict):
    """That part of the points has expired: nothing brings it back. `refundable` points are live;
    the merchant may issue fresh points instead.
    """

    code = "epoch_expired"


class RefundTooHigh(Conflict):
    """More points than the redemption took, less what was given back of it."""

    code = "refund_too_high"


class ReturnTooHigh(Conflict):
    """More points than the purchase earned, less what was returned of it."""

    code = "return_too_high"


class ReturnWindowOver(Conflict):
    """Points can be returned in the epoch in which they were earned, and in the one after."""

    code = "return_window_over"


class NothingToReturn(Conflict):
    """None of the points can be taken back; `shortfall` is all of them."""

    code = "nothing_to_return"


class ShortfallChanged(Conflict):
    """More points are missing than the till has been shown: ask for the quote again."""

    code = "shortfall_changed"


class PositionTooLow(Conflict):
    """The merchant's own money, less what open orders hold, does not reach; credit is not paid."""

    code = "position_too_low"


class OrderNotCancellable(Conflict):
    """The order has taken effect, or has ended, or is no order that anybody may take back."""

    code = "order_not_cancellable"


class TooManyWebhookEndpoints(Conflict):
    """A merchant has at most ten end points, and so has the operator."""

    code = "too_many_webhook_endpoints"


class WebhookEndpointOff(Conflict):
    """The end point is switched off, or answered 410; switch it on first."""

    code = "webhook_endpoint_off"


class NotReady(GatewayError):
    """The order book, the mirror or the chain cannot be asked now; send it again, under the same
    key."""

    code = "not_ready"
    status = 503


class NetworkNotBegun(NotReady):
    """Network time lies before the first epoch: nothing can be issued until `begins_at`."""

    code = "network_not_begun"


class SettingsWrong(GatewayError):
    """A setting asks for what is not there; the program says so and does not start."""

    code = "settings_wrong"


class LeaseLost(NotReady):
    """Another process has taken this work over; nothing was written."""

    code = "lease_lost"


class Closed(NotReady):
    """An incident keeps accepting or relaying closed until a person has acted."""

    code = "closed"


class SchemaUnknown(GatewayError):
    """The order book was brought to a revision that this program does not know."""

    code = "schema_unknown"


class BookDamaged(GatewayError):
    """The order book's file is not what was written into it."""

    code = "book_damaged"


class BackupFailed(GatewayError):
    """The copy is not complete, was changed since, or would overwrite a network."""

    code = "backup_failed"


class CustodyError(GatewayError):
    """A secret cannot be opened. Says which one by its address, never what was in it."""

    code = "custody"


class MasterKeyUnsafe(CustodyError):
    """The master key's file can be read by others, or has the wrong size."""

    code = "master_key_unsafe"


class SecretDamaged(CustodyError):
    """The sealed secret does not open under this master key, tenant and address."""

    code = "secret_damaged"


class KeyUnknown(CustodyError):
    """Custody has no key of this address."""

    code = "key_unknown"


class SigningRefused(CustodyError):
    """The key is not for this: another kind of order, merchant, contract or chain.

    Attributes:
        until: network time from which it may be asked again; None: not without a change.
    """

    code = "signing_refused"

    def __init__(self, message: str, place: Any, *, until: int | None = None) -> None:
        super().__init__(message, tenant=place.tenant, purpose=place.purpose)
        self.until = until


class SigningCapReached(SigningRefused):
    """The key has signed what it may in a day; the order waits for the next one."""

    code = "signing_cap_reached"


class ChainError(GatewayError):
    """The chain did something that no retry mends; a person has to look."""

    code = "chain"


class CallFailed(ChainError):
    """A transaction of the operator's was mined and reverted."""

    code = "call_failed"


class WrongChain(ChainError):
    """The node serves another chain than the deployment names."""

    code = "wrong_chain"


class RedemptionMissing(ChainError):
    """The mirror does not hold a redemption that the order book knows as final."""

    code = "redemption_missing"


class ReorgBelowFinality(ChainError):
    """A block that was final has been replaced."""

    code = "reorg_below_finality"


class BookBehindChain(ChainError):
    """A key of ours used a nonce up in an order that the book does not know."""

    code = "book_behind_chain"
