"""Settings of the gateway: every environment variable has the prefix `BANYAN_`."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

DATA_FORMAT = 1
"""Written to DATA/version. Another number there: the program says so and touches nothing."""


class Settings(BaseSettings):
    """What a gateway process needs to know. Defaults suit the embedded network."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_", extra="ignore", frozen=True)

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
        default=None, description="JSON-RPC of the chain; the embedded network fills it in itself."
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
            "Highest fee a gas, wei. 0: relaying is free. Unset: twice the base fee that "
            "the node tells."
        ),
    )
    tip_wei: int = Field(default=0, ge=0, description="Priority fee a gas, wei.")
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
    relay_interval_s: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Pause between two scans for work when nothing wakes the relay.",
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
