"""Keys in AWS KMS: what it answers becomes what the contracts take."""

from __future__ import annotations

import secrets
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from eth_account import Account

from wallet_sdk.errors import SignerError, SignerUnavailable, TransactionTooLarge
from wallet_sdk.signers import (
    KmsSigner,
    LocalSigner,
    TransactionSigner,
    kms_client,
    named_kms_key,
    new_kms_key,
    recover,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
TILL = LocalSigner(b"\x07" * 32)
TRANSACTION = {
    "type": 2,
    "chainId": 31337,
    "nonce": 7,
    "gas": 21_000,
    "maxFeePerGas": 3,
    "maxPriorityFeePerGas": 1,
    "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    "value": 0,
    "data": b"\x01\x02",
}


class Answering:
    """A client that answers every question with what the test says."""

    def __init__(self, answer: bytes | Exception) -> None:
        self._answer = answer

    def sign(self, **_asked: Any) -> dict[str, bytes]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return {"Signature": self._answer}

    get_public_key = sign


def refusal(code: str, status: int = 400) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "said so"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Sign")  # type: ignore[arg-type]


def signer_of(answer: bytes | Exception) -> KmsSigner:
    return KmsSigner("key", Answering(answer), address=TILL.address)


# ---- refusals


@pytest.mark.parametrize("length", [0, 31, 33])
def test_sign__not_32_bytes__is_refused(length: int) -> None:
    with pytest.raises(SignerError, match="32 bytes"):
        signer_of(b"").sign(bytes(length))


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "KMSInternalException", "DependencyTimeoutException"]
)
def test_sign__kms_busy__may_be_asked_again(code: str) -> None:
    with pytest.raises(SignerUnavailable) as found:
        signer_of(refusal(code)).sign(bytes(32))
    assert found.value.code == "signer_unavailable"


def test_sign__no_connection__may_be_asked_again() -> None:
    with pytest.raises(SignerUnavailable):
        signer_of(EndpointConnectionError(endpoint_url="there")).sign(bytes(32))


@pytest.mark.parametrize("code", ["AccessDeniedException", "DisabledException"])
def test_sign__kms_refuses__is_no_matter_of_time(code: str) -> None:
    with pytest.raises(SignerError, match=f"{code}: said so") as found:
        signer_of(refusal(code)).sign(bytes(32))
    assert not isinstance(found.value, SignerUnavailable)


@pytest.mark.parametrize("answer", [b"", b"\x30\x00", secrets.token_bytes(70)])
def test_sign__no_der__is_refused(answer: bytes) -> None:
    with pytest.raises(SignerError):
        signer_of(answer).sign(bytes(32))


def test_sign__by_another_key__is_refused() -> None:
    digest = secrets.token_bytes(32)
    other = LocalSigner(b"\x08" * 32).sign(digest)
    der = encode_dss_signature(*(int.from_bytes(other[i : i + 32], "big") for i in (0, 32)))
    with pytest.raises(SignerError, match="signs for another address"):
        signer_of(der).sign(digest)


def test_address__key_of_another_curve__is_refused(kms_region: str) -> None:
    client = kms_client(kms_region)
    key = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    with pytest.raises(SignerError, match="no secp256k1 key"):
        _ = KmsSigner(key, client).address


def test_address__key_that_is_not_there__is_refused(kms_region: str) -> None:
    with pytest.raises(SignerError, match="NotFoundException"):
        _ = KmsSigner("no-such-key", kms_client(kms_region)).address


def test_client__without_boto3__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SignerError, match=r"banyan\[kms\]"):
        kms_client("eu-central-1")


def test_sign_transaction__incomplete__is_refused() -> None:
    with pytest.raises(SignerError, match="not a complete transaction"):
        signer_of(b"").sign_transaction({"type": 2})


def test_sign_transaction__over_the_gas_that_one_may_have__asks_nothing_of_kms() -> None:
    class Unasked:
        def sign(self, **asked: Any) -> dict[str, bytes]:
            raise AssertionError(asked)

    signer = KmsSigner("key", Unasked(), address=TILL.address)
    with pytest.raises(TransactionTooLarge, match="at most 16777216 gas, asked for 16777217"):
        signer.sign_transaction(TRANSACTION | {"gas": 16_777_217})


# ---- signatures


def test_sign__high_s_of_either_parity__becomes_low_s_with_its_recovery_id() -> None:
    seen = set()
    for number in range(8):
        digest = bytes([number]) * 32
        right = TILL.sign(digest)
        r, s = (int.from_bytes(right[i : i + 32], "big") for i in (0, 32))
        for given in (s, ORDER - s):
            assert signer_of(encode_dss_signature(r, given)).sign(digest) == right
        seen.add(right[64])
    assert seen == {27, 28}


def test_sign__by_kms__is_recovered_to_its_address(kms_region: str) -> None:
    client = kms_client(kms_region)
    signer = KmsSigner(new_kms_key(client, {"banyan:purpose": "till"}), client)
    assert isinstance(signer, TransactionSigner)
    for _ in range(6):
        digest = secrets.token_bytes(32)
        signature = signer.sign(digest)
        assert recover(digest, signature) == signer.address
        assert int.from_bytes(signature[32:64], "big") <= ORDER // 2


def test_named_key__asked_again__is_the_same_key(kms_region: str) -> None:
    client = kms_client(kms_region)
    tags = {"banyan:purpose": "till"}
    first = named_kms_key(client, "alias/banyan/test/till/0", tags)
    assert named_kms_key(client, "alias/banyan/test/till/0", tags) == first
    assert named_kms_key(client, "alias/banyan/test/till/1", tags) != first
    assert KmsSigner(first, client).address
    listed = client.list_resource_tags(KeyId=first)["Tags"]
    assert listed == [{"TagKey": "banyan:purpose", "TagValue": "till"}]


def test_named_key__made_by_another_at_the_same_moment__is_the_others(kms_region: str) -> None:
    client = kms_client(kms_region)
    theirs: list[str] = []

    def quicker(**_params: Any) -> None:
        if not theirs:
            theirs.append("")
            theirs[0] = named_kms_key(kms_client(kms_region), "alias/banyan/test/race/0", {})

    client.meta.events.register("before-call.kms.CreateAlias", quicker)
    mine = named_kms_key(client, "alias/banyan/test/race/0", {})
    assert [mine] == theirs
    # The one that was made in vain is on its way out, and so costs nothing for ever.
    keys = [key["KeyId"] for key in client.list_keys()["Keys"]]
    states = [client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys]
    assert states.count("PendingDeletion") == 1


def test_address__asked_again__costs_no_question(kms_region: str) -> None:
    client = kms_client(kms_region)
    asked = []
    client.meta.events.register("before-call.kms.*", lambda model, **_: asked.append(model.name))
    signer = KmsSigner(new_kms_key(client, {}), client)
    for _ in range(3):
        signer.sign(secrets.token_bytes(32))
    assert asked == ["CreateKey", "Sign", "GetPublicKey", "Sign", "Sign"]


def test_sign_transaction__by_kms__is_what_eth_account_recovers(kms_region: str) -> None:
    client = kms_client(kms_region)
    signer = KmsSigner(new_kms_key(client, {}), client)
    raw, tx_hash = signer.sign_transaction(TRANSACTION)
    assert Account.recover_transaction(raw) == signer.address
    assert len(tx_hash) == 66


def test_sign_transaction__the_same_key_here_and_there__gives_the_same_bytes() -> None:
    class Kms(Answering):
        def sign(self, **asked: Any) -> dict[str, bytes]:
            signature = TILL.sign(asked["Message"])
            r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
            return {"Signature": encode_dss_signature(r, s)}

    here = TILL.sign_transaction(TRANSACTION)
    assert KmsSigner("key", Kms(b""), address=TILL.address).sign_transaction(TRANSACTION) == here
    assert decode_dss_signature(Kms(b"").sign(Message=bytes(32))["Signature"])[1] <= ORDER // 2
