"""Settings of the gateway: every environment variable has the prefix `BANYAN_`."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from gateway.custody.purposes import SECRETS, Purpose
from indexer.settings import FromEnvironment

DATA_FORMAT = 1
"""Written to DATA/version. Another number there: the program says so and touches nothing."""


class Settings(FromEnvironment):
    """What a gateway process needs to know. Defaults suit the embedded network."""

    data_dir: Path = Field(
        default=Path(".banyan/demo"), description="Folder of everything that is kept."
    )
    orders_url: SecretStr | None = Field(
        default=None,
        description=(
            "SQLAlchemy URL of the order book; default: SQLite file orders.db in the data folder."
        ),
    )
    mirror_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL of the mirror; default: mirror.db in the data folder.",
    )
    rpc_url: SecretStr | None = Field(
        default=None,
        description=(
            "JSON-RPC of the chain: one URL, or several separated by commas; the embedded network "
            "fills it in itself."
        ),
    )
    anvil: Path | None = Field(
        default=None,
        description="The anvil that computes the embedded chain; default: the one npm installed.",
    )
    deployment_file: Path | None = Field(
        default=None, description="deployment.json of the network; default: in the data folder."
    )
    finality: Literal["finalized"] | int = Field(
        default="finalized",
        description=(
            "When a block is final: the node's `finalized` tag, or this many confirmations."
        ),
    )
    fee_cap_wei: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Most wei a gas that is ever offered. 0: relaying is free. Offered is twice the base "
            "fee, under this cap; above it transactions wait for the base fee to fall. "
            "Unset: no cap."
        ),
    )
    tip_wei: int = Field(default=0, ge=0, description="Priority fee a gas, wei.")
    bump_after_s: int = Field(
        default=45,
        ge=1,
        description=(
            "A relayer's oldest transaction that is in no block after so many seconds is offered "
            "again at a higher fee."
        ),
    )
    group_requests_max: int = Field(
        default=256, ge=1, le=4096, description="Requests that share one commit, at most."
    )
    group_wait_ms: float = Field(
        default=5.0, ge=0, le=100, description="How long a commit waits for company, milliseconds."
    )
    queue_requests_max: int = Field(
        default=4096,
        ge=1,
        description="Requests that wait for the writer; more are told to come back (503).",
    )
    order_ttl_s: int = Field(
        default=900,
        ge=60,
        le=86_400,
        description=(
            "Life of a signed order, seconds of network time; an order that missed it is "
            "signed anew."
        ),
    )
    requests_per_s: float = Field(
        default=2_000,
        gt=0,
        description=(
            "Requests a second that one API key may make, over all processes; twice as many at "
            "once. More are told to come back (429)."
        ),
    )
    bulk_lines_per_s: float = Field(
        default=50_000,
        gt=0,
        description=(
            "Lines of bulk requests a second that one API key may send, over all processes; twice "
            "as many (10,000 at least) at once."
        ),
    )
    member_requests_per_s: float = Field(
        default=10, gt=0, description="The same for keys of members."
    )
    relay_interval_s: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Pause between two scans for work when nothing wakes the relay.",
    )
    relayers: int = Field(
        default=1,
        ge=1,
        le=64,
        description=(
            "Keys that carry orders to the chain, each with its own line of nonces; missing ones "
            "are made at start. More than one lets several processes send side by side."
        ),
    )
    lease_s: float = Field(
        default=15.0,
        gt=0,
        le=600,
        description=(
            "How long a relay process may be silent, seconds, before the others take over its "
            "work (PostgreSQL)."
        ),
    )

    master: Literal["file", "passphrase", "kms"] = Field(
        default="file",
        description=(
            "What a new master key is made of: random bytes in DATA/secrets, a passphrase, or a "
            "symmetric key in AWS KMS. A network keeps the one it has until `banyan keys rotate`."
        ),
    )
    master_passphrase_file: Path | None = Field(
        default=None,
        description=(
            "File with the passphrase of the master key, at least 20 characters; only its owner "
            "may read it."
        ),
    )
    master_passphrase_file_before: Path | None = Field(
        default=None,
        description="File with the passphrase before it, as long as a rotation is not finished.",
    )
    master_kms_key: str | None = Field(
        default=None, description="Id, ARN or alias of the symmetric KMS key that is the master."
    )
    kms_region: str | None = Field(
        default=None, description="Region of AWS KMS; default: where boto3 looks for it."
    )
    kms_endpoint: str | None = Field(
        default=None, description="URL of KMS, where it is not the region's own."
    )
    kms_key_purposes: Annotated[frozenset[Purpose], NoDecode] = Field(
        default=frozenset(),
        description=(
            "Purposes whose new signing keys are made in KMS and never leave it, with commas "
            "between: `relayer,till`."
        ),
    )
    till_daily_points_max: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Points that one till key may issue in a day (UTC, network time); what is more is "
            "refused when it is asked for (`daily_cap_exceeded`)."
        ),
    )
    till_daily_money_max: int | None = Field(
        default=None,
        ge=1,
        description="What these issues may cost in a day, units of the settlement asset.",
    )
    relayer_daily_gwei_max: int | None = Field(
        default=None,
        ge=1,
        description="Gas limit x fee cap that one relayer may sign in a day, gwei.",
    )

    log_format: Literal["text", "json"] = Field(
        default="text", description="Logs for a person, or one JSON object a line for a machine."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged at least; `info` has a line for each request."
    )
    otel_endpoint: str | None = Field(
        default=None,
        description=(
            "OTLP port (HTTP) that traces are sent to, such as http://127.0.0.1:4318/v1/traces; "
            "needs the extra `otel`. Unset: no traces."
        ),
    )
    ready_mirror_lag_max_blocks: int = Field(
        default=60,
        ge=0,
        description="`/readyz` fails when the mirror is further behind the node, blocks.",
    )
    ready_head_age_max_s: int | None = Field(
        default=None,
        ge=1,
        description=(
            "`/readyz` fails when the node's newest block is older, seconds. Unset where blocks "
            "are made only when there is something to put into them."
        ),
    )
    ready_disk_free_min_mb: int = Field(
        default=256,
        ge=0,
        description="`/readyz` fails when less is free in the data folder, megabytes.",
    )

    currency_label: str = Field(
        default="USD",
        min_length=1,
        max_length=12,
        description="What amounts of money are labelled with, on the pages and in statements.",
    )
    time_zone: str = Field(
        default="UTC",
        description=(
            "IANA name of the time zone of dates on the pages and of months of statements, such as "
            "Asia/Bangkok. Months of settlements and days of caps are UTC everywhere."
        ),
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"no time zone is called {value!r} on this machine") from error
        return value

    @field_validator("currency_label")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("a label is printable")
        return value

    @field_validator("kms_key_purposes", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        if isinstance(value, str):
            return [word.strip() for word in value.split(",") if word.strip()]
        return value

    @field_validator("kms_key_purposes")
    @classmethod
    def _signing_keys(cls, value: frozenset[Purpose]) -> frozenset[Purpose]:
        seeds = value & SECRETS
        if seeds:
            raise ValueError(f"{', '.join(sorted(seeds))}: that is no signing key")
        return value

    webhook_targets: Literal["public", "loopback"] | None = Field(
        default=None,
        description=(
            "Where webhooks may go. `public`: HTTPS to public addresses. `loopback`: also plain "
            "HTTP and this machine, for developers. Unset: loopback on the embedded network, else "
            "public."
        ),
    )
    webhook_delivery: Literal["here", "apart"] = Field(
        default="here",
        description="`here`: who relays delivers webhooks. `apart`: `banyan webhooks run` alone.",
    )

    @property
    def orders_dsn(self) -> str:
        """SQLAlchemy URL of the order book."""
        if self.orders_url is not None:
            return self.orders_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'orders.db'}"

    @property
    def mirror_dsn(self) -> str:
        """SQLAlchemy URL of the mirror."""
        if self.mirror_url is not None:
            return self.mirror_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'mirror.db'}"

    @property
    def deployment_path(self) -> Path:
        """Where deployment.json lies."""
        return self.deployment_file or self.data_dir / "deployment.json"

    @property
    def secrets_dir(self) -> Path:
        """Folder of the master key, mode 0700."""
        return self.data_dir / "secrets"
