"""Settings of the indexer: environment variables with the prefix `BANYAN_`, shared with the gateway
where they mean the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)


class FromEnvironment(BaseSettings):
    """Settings from `BANYAN_...` variables, or from files in the folder of credentials.

    An error names the setting and what is wrong, never the value: it could be a secret.
    """

    model_config = SettingsConfigDict(
        env_prefix="BANYAN_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then files in the folder of credentials."""
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder or not Path(folder).is_dir():
            return init_settings, env_settings
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, folder)


class IndexerSettings(FromEnvironment):
    """Where the chain, the deployment file and the mirror are; options override them."""

    data_dir: Path = Field(default=Path(".banyan/demo"), description="Folder of a network's data.")
    rpc_url: SecretStr | None = Field(default=None, description="JSON-RPC URL of the chain.")
    ws_url: SecretStr | None = Field(
        default=None,
        description="WebSocket URL of the chain for `banyan index run`: new heads wake it.",
    )
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

    time_zone: str = Field(
        default="UTC",
        description="IANA name of the time zone in which months of statements begin.",
    )
    currency_label: str = Field(
        default="USD", description="What the amounts of statements are labelled with."
    )

    def mirror(self) -> str:
        """The mirror's URL."""
        if self.mirror_url is not None:
            return self.mirror_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'mirror.db'}"

    def deployment(self) -> Path:
        """Where the deployment file lies."""
        return self.deployment_file or self.data_dir / "deployment.json"
