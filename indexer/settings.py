"""Settings of the indexer: environment variables with the prefix `BANYAN_`, shared with the gateway
where they mean the same.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class IndexerSettings(BaseSettings):
    """Where the chain, the deployment file and the mirror are; options override them."""

    model_config = SettingsConfigDict(env_prefix="BANYAN_", extra="ignore", frozen=True)

    data_dir: Path = Field(default=Path(".banyan/demo"), description="Folder of a network's data.")
    rpc_url: SecretStr | None = Field(default=None, description="JSON-RPC URL of the chain.")
    mirror_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL of the mirror; default: mirror.db in data_dir."
    )
    deployment_file: Path | None = Field(
        default=None, description="deployment.json; default: in data_dir."
    )
    finality: str = Field(
        default="finalized",
        description="The node's `finalized` tag, or the number of confirmations.",
    )

    def mirror(self) -> str:
        """The mirror's URL."""
        if self.mirror_url is not None:
            return self.mirror_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'mirror.db'}"

    def deployment(self) -> Path:
        """Where the deployment file lies."""
        return self.deployment_file or self.data_dir / "deployment.json"
