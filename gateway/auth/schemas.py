"""API keys over HTTP."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gateway.orders.schemas import Strict, examples

LABEL_PATTERN = r"^[A-Za-z0-9 ._-]{0,40}$"


class NewApiKey(Strict):
    """Whose key: a role, and a label that tells its holders apart (a till, a back office)."""

    model_config = examples(
        {"role": "cashier", "label": "till 3", "scopes": ["issue", "redeem", "members:read"]}
    )

    role: Annotated[
        Literal["merchant", "cashier", "operator", "auditor"], Field(examples=["cashier"])
    ]
    label: Annotated[str, Field(pattern=LABEL_PATTERN, examples=["till 3"])] = ""
    scopes: Annotated[
        list[Annotated[str, Field(max_length=40)]] | None,
        Field(max_length=20, description="What it may do; null: all that its role may."),
    ] = None


class NewMemberKey(Strict):
    """How long the key is good for; a wallet asks for a fresh one in time."""

    model_config = examples({"lives_s": 900})

    lives_s: Annotated[int, Field(ge=60, le=86_400, examples=[900])] = 900


class ApiKeyBody(BaseModel):
    """A fresh API key. `api_key` is shown this once; repeating the request shows null."""

    id: str
    role: str
    label: str = ""
    merchant: str | None = None
    member: str | None = None
    expires_at: int | None = None
    api_key: str | None


class KeyLine(BaseModel):
    """A key without its secret. `last_used_at` is right to a minute."""

    id: str
    role: str
    label: str
    merchant: str | None
    scopes: list[str]
    created_at: int
    last_used_at: int | None
    revoked_at: int | None


class KeyPage(BaseModel):
    """The newest first; `next_cursor` is null on the last page."""

    api_keys: list[KeyLine]
    next_cursor: str | None


class KeyRevoked(BaseModel):
    """The key that was revoked."""

    id: str
    revoked: bool
