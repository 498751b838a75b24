"""What the commands share: options, the data folder, and a network opened for one command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from gateway.errors import InvalidRequest, SettingsWrong
from gateway.network import Network, open_network
from gateway.settings import Settings
from indexer.cli.output import progress_bar

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the network's data (default: .banyan/demo)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]

CENTS = 2
ASSET_DECIMALS = 6


def settings_of(data: Path | None) -> Settings:
    """Settings from the environment, with the data folder of the command line.

    Raises SettingsWrong: every setting that is wrong, and why, without its value.
    """
    try:
        return Settings() if data is None else Settings(data_dir=data)
    except ValidationError as error:
        wrong = [
            f"BANYAN_{'_'.join(str(part) for part in found['loc'][:1]).upper()}: {found['msg']}"
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsWrong("; ".join(wrong)) from None


@contextmanager
def network_of(data: Path | None, *, background: bool = False) -> Iterator[Network]:
    """The embedded network in the data folder, opened for this command.

    Raises EmbeddedChainError where one is running there already: then its API is the way.
    InvalidRequest where the settings name a chain: a second one must not come to be beside it.
    """
    settings = settings_of(data)
    if settings.rpc_url is not None:
        raise InvalidRequest(
            "the chain of this network is elsewhere (BANYAN_RPC_URL), and no gateway of it answers "
            f"on this machine (none has left a note in {settings.secrets_dir}): start one first"
        )
    with progress_bar("blocks replayed") as shown:
        network = open_network(
            settings.data_dir, settings=settings, background=background, progress=shown
        )
    try:
        yield network
    finally:
        network.stop()


def money_of(text: str) -> int:
    """Units of the settlement asset in an amount such as `1500.00`. Raises InvalidRequest."""
    whole, dot, part = text.partition(".")
    digits = whole + part.ljust(ASSET_DECIMALS, "0")
    sound = whole.isascii() and whole.isdigit() and len(part) <= ASSET_DECIMALS
    if not sound or (dot and not (part.isascii() and part.isdigit())) or len(digits) > 19:
        raise InvalidRequest(f"no amount of money: {text[:40]!r}; write it like 1500.00")
    return int(digits)


def shown_money(units: int) -> str:
    """Units of the settlement asset as a decimal amount."""
    sign, units = ("-", -units) if units < 0 else ("", units)
    whole, part = divmod(units, 10**ASSET_DECIMALS)
    decimals = f"{part:0{ASSET_DECIMALS}}".rstrip("0").ljust(CENTS, "0")
    return f"{sign}{whole:,}.{decimals}"
