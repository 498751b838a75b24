"""Errors of the wallet SDK: one root, and what each branch tells the caller.

    BanyanError                     code: a stable word for programs, message: one sentence
    ├── InputInvalid                a value was refused before signing or sending (a ValueError)
    │   ├── OrderInvalid            an order that could never take effect, or no order at all
    │   └── DeploymentInvalid       a deployment file that is incomplete, or of another chain
    ├── ArtefactMissing             no ABI or bytecode of that name in wallet_sdk/abi
    ├── SignerError                 a keystore that does not open, a seed that is none
    │   ├── SignerUnavailable       a key kept elsewhere did not answer: ask again
    │   └── TransactionTooLarge     more gas than any transaction may have: nothing was signed
    ├── RpcUnavailable              the node gave no usable answer: the outcome is UNKNOWN
    ├── RpcError                    the node answered and refused
    ├── ContractRefused             a Solidity error, one subclass each: wallet_sdk.refusals
    │   └── ContractRefusedUnknown  revert data that none of our contracts gives
    ├── WebhookRefused              wallet_sdk.webhooks: a message not to be acted on
    │   ├── WebhookForged           no signature fits, or it is no event
    │   └── WebhookStale            signed too long ago, or ahead of time
    └── GatewayError                wallet_sdk.client
        ├── GatewayUnavailable      no answer that decides: UNKNOWN; repeat with the same key
        ├── GatewayRefused          an RFC 9457 problem with its stable code
        └── OutboxUnavailable       the request could not be kept, so it was not sent

Foreign errors (httpx, orjson, eth_account, coincurve) are translated where they enter; none leaves
the package.
"""

from __future__ import annotations


class BanyanError(Exception):
    """Root of every error that Banyan's packages raise on purpose.

    `code` is stable and lower snake case; `message` is one sentence and names the wrong value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class InputInvalid(BanyanError, ValueError):
    """A value was refused before anything was signed or sent."""

    def __init__(self, message: str, *, code: str = "input_invalid") -> None:
        super().__init__(code, message)


class OrderInvalid(InputInvalid):
    """The order could never take effect on chain, or the bytes are no order."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="order_invalid")


class DeploymentInvalid(InputInvalid):
    """The deployment file is incomplete, or the node serves another chain than it names."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="deployment_invalid")


class ArtefactMissing(BanyanError):
    """`wallet_sdk/abi` holds no artefact of that name."""

    def __init__(self, name: str) -> None:
        super().__init__("artefact_missing", f"no contract artefact {name!r} in wallet_sdk/abi")
        self.name = name


class SignerError(BanyanError):
    """A key could not be made or opened. The message never holds secret material."""

    def __init__(self, message: str) -> None:
        super().__init__("signer_error", message)


class SignerUnavailable(SignerError):
    """A key that is kept elsewhere (KMS) gave no answer now; nothing was signed, ask again."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = "signer_unavailable"


class TransactionTooLarge(SignerError):
    """A transaction asks for more gas than one may have (EIP-7825); refused before it is signed."""

    def __init__(self, gas: int, gas_max: int) -> None:
        super().__init__(f"a transaction has at most {gas_max} gas, asked for {gas}")
        self.code = "transaction_too_large"
        self.gas = gas
        self.gas_max = gas_max


class RpcUnavailable(BanyanError):
    """The node gave no usable answer: connection lost, time-out, 429, 5xx, HTML, a truncated or
    foreign answer.

    Whether the call took effect is unknown. `retry_after_s` is the node's own wish where it gave
    one.
    """

    def __init__(self, method: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__("rpc_unavailable", f"{method}: {message}")
        self.method = method
        self.retry_after_s = retry_after_s


class RpcError(BanyanError):
    """The node answered with a JSON-RPC error object.

    `rpc_code` is its number, `data` its data field (revert data as 0x hex where a call reverted).
    """

    def __init__(
        self, rpc_code: int, message: str, data: object = None, *, method: str = ""
    ) -> None:
        super().__init__("rpc_error", f"{method}: {message}" if method else message)
        self.rpc_code = rpc_code
        self.rpc_message = message
        self.data = data
        self.method = method


class WebhookRefused(BanyanError):
    """A message that came as a webhook and is not to be acted on."""


class WebhookForged(WebhookRefused):
    """No signature fits, a header is missing, or what is signed is no event."""

    def __init__(self, message: str) -> None:
        super().__init__("webhook_forged", message)


class WebhookStale(WebhookRefused):
    """Signed too long ago, or ahead of time: a recording, or a clock that is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__("webhook_stale", message)


class GatewayError(BanyanError):
    """Root of what the gateway's client raises."""


class GatewayUnavailable(GatewayError):
    """No answer that decides: the request may have taken effect. Repeat it with the same
    idempotency key.

    `idempotency_key` is the key that was sent (None for reads).
    """

    def __init__(
        self,
        message: str,
        *,
        idempotency_key: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__("gateway_unavailable", message)
        self.idempotency_key = idempotency_key
        self.status = status
        self.retry_after_s = retry_after_s


class GatewayRefused(GatewayError):
    """The gateway decided against the request: an RFC 9457 problem.

    `code` is the problem's stable code (`balance_too_low`), `status` the HTTP status, `problem` the
    whole object.
    """

    def __init__(self, code: str, message: str, *, status: int, problem: dict[str, object]) -> None:
        super().__init__(code, message)
        self.status = status
        self.problem = problem


class OutboxUnavailable(GatewayError):
    """A request could not be kept, or what was kept not be read. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__("outbox_unavailable", message)
