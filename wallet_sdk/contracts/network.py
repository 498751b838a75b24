"""One network seen through one node: typed reads at any block, refusals as Python errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias, TypeVar

from wallet_sdk.buckets import Account
from wallet_sdk.contracts.answers import (
    EpochSupply,
    Head,
    Income,
    IssuedBy,
    MerchantState,
    Pass,
    Terms,
)
from wallet_sdk.contracts.calls import Calls
from wallet_sdk.contracts.deployment import Deployment
from wallet_sdk.contracts.functions import Call, Read
from wallet_sdk.contracts.reads import Reads
from wallet_sdk.errors import DeploymentInvalid, RpcError, RpcUnavailable
from wallet_sdk.refusals import ContractRefused, refusal_of
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Address, Digest, Money, Points, from_hex, keccak256, to_hex

T = TypeVar("T")

Block: TypeAlias = int | str
"""A number, a tag ("latest", "finalized", "pending"), or a block hash (0x and 64 digits)."""
LATEST: Final = "latest"


def block_parameter(block: Block) -> Any:
    """A block as eth_call takes it; by hash as EIP-1898 says, canonical blocks only."""
    if isinstance(block, int):
        return hex(block)
    if len(block) == 66:
        return {"blockHash": block, "requireCanonical": True}
    return block


def refusal_in(error: RpcError) -> ContractRefused | None:
    """The contract's refusal inside a node's error; None when the node itself refused."""
    data = error.data.get("data") if isinstance(error.data, dict) else error.data
    if isinstance(data, str) and data.startswith("0x"):
        return refusal_of(from_hex(data))
    reverted = error.rpc_code == 3 or "execution reverted" in error.rpc_message.lower()
    return refusal_of(b"") if reverted else None


class Network:
    """Reads the contracts of `deployment` by `rpc`. Thread safe as Rpc is.

    Every read raises RpcUnavailable, RpcError, ContractRefused, or DeploymentInvalid when something
    else stands at the contract's address. Answers of several reads belong together only when a
    block is given.
    """

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.reads = Reads(deployment.addresses)
        self.calls = Calls(deployment.addresses)

    # ---- asking

    def read(self, asked: Read[T], block: Block = LATEST) -> T:
        """The answer to one question."""
        try:
            data = self.rpc.call("eth_call", [asked.rpc(), block_parameter(block)])
        except RpcError as error:
            raise (refusal_in(error) or error) from error
        return asked.parse(_bytes("eth_call", data))

    def read_many(self, asked: Sequence[Read[T]], block: Block = LATEST) -> list[T]:
        """The answers to many questions, in the order asked, in few requests.

        With "latest" a block may come between two of them: give a number or a hash where they must
        agree.
        """
        at = block_parameter(block)
        try:
            answers = self.rpc.batch([("eth_call", [read.rpc(), at]) for read in asked])
        except RpcError as error:
            raise (refusal_in(error) or error) from error
        return [
            read.parse(_bytes("eth_call", data)) for read, data in zip(asked, answers, strict=True)
        ]

    def simulate(self, call: Call, sender: Address | None = None, block: Block = LATEST) -> bytes:
        """What a call would answer, without sending it. Raises ContractRefused as the chain
        would.
        """
        try:
            data = self.rpc.call("eth_call", [call.rpc(sender), block_parameter(block)])
        except RpcError as error:
            raise (refusal_in(error) or error) from error
        return _bytes("eth_call", data)

    def head(self, block: Block = LATEST) -> Head:
        """Number, hashes and time of a block. Raises RpcUnavailable when the node has no such
        block.
        """
        by_hash = isinstance(block, str) and len(block) == 66
        method = "eth_getBlockByHash" if by_hash else "eth_getBlockByNumber"
        found = self.rpc.call(method, [hex(block) if isinstance(block, int) else block, False])
        if not isinstance(found, dict):
            raise RpcUnavailable(method, f"the node has no block {block}")
        try:
            return Head(
                int(found["number"], 16),
                found["hash"],
                found["parentHash"],
                int(found["timestamp"], 16),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RpcUnavailable(method, f"malformed block: {error!r}") from error

    def check(self) -> None:
        """Whether the node serves the chain of the deployment, with its code at its addresses.

        Raises DeploymentInvalid: wrong chain id, wrong genesis, or other code than was deployed.
        """
        contracts = self.deployment.contracts
        chain_id, *codes = self.rpc.batch(
            [("eth_chainId", [])]
            + [("eth_getCode", [at.address, LATEST]) for at in contracts.values()]
        )
        if int(chain_id, 16) != self.deployment.chain_id:
            raise DeploymentInvalid(
                f"the node's chain id is {int(chain_id, 16)}, "
                f"the deployment's {self.deployment.chain_id}"
            )
        if self.head(0).hash != self.deployment.genesis_hash:
            raise DeploymentInvalid("the node's genesis block is not the deployment's")
        for (name, at), code in zip(contracts.items(), codes, strict=True):
            if to_hex(keccak256(from_hex(code))) != at.code_hash:
                raise DeploymentInvalid(f"the code at {at.address} is not the deployed {name}")

    # ---- Points

    def balance_of(self, account: Address, block: Block = LATEST) -> Points:
        """Live points of an account."""
        return self.read(self.reads.balance_of(account), block)

    def balances_of(
        self, accounts: Sequence[Address], block: Block = LATEST
    ) -> dict[Address, Points]:
        """Live points of many accounts."""
        found = self.read_many([self.reads.balance_of(a) for a in accounts], block)
        return dict(zip(accounts, found, strict=True))

    def account_of(self, account: Address, block: Block = LATEST) -> Account:
        """The packed account as stored: nonces, member bit, buckets not aged."""
        return self.read(self.reads.account_of(account), block)

    def accounts_of(
        self, accounts: Sequence[Address], block: Block = LATEST
    ) -> dict[Address, Account]:
        """The packed accounts of many."""
        found = self.read_many([self.reads.account_of(a) for a in accounts], block)
        return dict(zip(accounts, found, strict=True))

    def buckets_of(self, account: Address, block: Block = LATEST) -> dict[int, Points]:
        """Live points by epoch, soonest to expire first."""
        return self.read(self.reads.buckets_of(account), block)

    def is_member(self, account: Address, block: Block = LATEST) -> bool:
        """Whether the account is a member's."""
        return self.read(self.reads.is_member(account), block)

    def total_supply(self, block: Block = LATEST) -> Points:
        """Live points of all."""
        return self.read(self.reads.total_supply(), block)

    def supply_of_epoch(self, epoch: int, block: Block = LATEST) -> EpochSupply:
        """Issued net of returns, and live."""
        return self.read(self.reads.supply_of_epoch(epoch), block)

    def current_epoch(self, block: Block = LATEST) -> int:
        """The epoch of the block's time."""
        return self.read(self.reads.current_epoch(), block)

    def coalition(self, block: Block = LATEST) -> Address:
        """The contract that Points obeys."""
        return self.read(self.reads.coalition(), block)

    # ---- Coalition

    def merchant_of(self, merchant: int, block: Block = LATEST) -> MerchantState:
        """Owner, status, position, limit, profile."""
        return self.read(self.reads.merchant_of(merchant), block)

    def position_of(self, merchant: int, block: Block = LATEST) -> Money:
        """What the merchant has with the network."""
        return self.read(self.reads.position_of(merchant), block)

    def till_key_merchant(self, key: Address, block: Block = LATEST) -> int:
        """The merchant a till key signs for; 0 for none."""
        return self.read(self.reads.till_key_merchant(key), block)

    def is_merchant_nonce_used(self, merchant: int, nonce: int, block: Block = LATEST) -> bool:
        """Whether the merchant's nonce is used up."""
        return self.read(self.reads.is_merchant_nonce_used(merchant, nonce), block)

    def terms_of(self, epoch: int, block: Block = LATEST) -> Terms:
        """Fees and issuers' share of an epoch."""
        return self.read(self.reads.terms_of(epoch), block)

    def issued_by(self, epoch: int, merchant: int, block: Block = LATEST) -> IssuedBy:
        """Issued by the merchant in the epoch, and returned to it."""
        return self.read(self.reads.issued_by(epoch, merchant), block)

    def is_redemption_root(self, root: Digest, block: Block = LATEST) -> bool:
        """Whether a relay stored this root."""
        return self.read(self.reads.is_redemption_root(root), block)

    def refunded_of(self, leaf: Digest, block: Block = LATEST) -> Points:
        """Points given back out of a redemption so far."""
        return self.read(self.reads.refunded_of(leaf), block)

    def reserve(self, block: Block = LATEST) -> Money:
        """Live points x face value."""
        return self.read(self.reads.reserve(), block)

    def sum_of_limits(self, block: Block = LATEST) -> Money:
        """All credit limits together."""
        return self.read(self.reads.sum_of_limits(), block)

    def guarantee(self, block: Block = LATEST) -> Money:
        """The operator's cover for credit limits."""
        return self.read(self.reads.guarantee(), block)

    def income(self, block: Block = LATEST) -> Income:
        """The operator's income."""
        return self.read(self.reads.income(), block)

    def breakage(self, block: Block = LATEST) -> Money:
        """Face value of expired points not closed, or closed and not claimed."""
        return self.read(self.reads.breakage(), block)

    def issuing_paused(self, block: Block = LATEST) -> bool:
        """Whether the operator has paused issuing."""
        return self.read(self.reads.issuing_paused(), block)

    # ---- MembershipPass and BankReceipt

    def pass_of(self, member: Address, programme: int = 0, block: Block = LATEST) -> Pass:
        """A member's pass of a programme."""
        return self.read(self.reads.pass_of(member, programme), block)

    def receipts_of(self, account: Address, block: Block = LATEST) -> Money:
        """Receipts an account holds."""
        return self.read(self.reads.receipts_of(account), block)

    def assets_held(self, block: Block = LATEST) -> Money:
        """Receipts that Coalition holds: the left side of law 3."""
        return self.receipts_of(self.deployment.address("Coalition"), block)


def _bytes(method: str, data: object) -> bytes:
    if not isinstance(data, str):
        raise RpcUnavailable(method, f"no data came back but {data!r:.80}")
    return from_hex(data)
