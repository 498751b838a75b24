"""`banyan operator`: what only the operator may ask for."""

import re
from enum import StrEnum
from typing import Annotated

import typer

from gateway.auth.keys import Role, check_scopes
from gateway.auth.schemas import LABEL_PATTERN
from gateway.cli.common import DataOption, JsonOption
from gateway.cli.desk import desk_of
from gateway.errors import InvalidRequest
from indexer.cli.output import answer, failing

app = typer.Typer(
    no_args_is_help=True,
    help="The operator; where the network is running, through its API.",
)

SECRET_BEGINS_AT = 20
"""Of `bnk_` and the 16 characters of the id; what comes after is the secret."""


class KeyRole(StrEnum):
    """Roles of keys that belong to no merchant."""

    OPERATOR = "operator"
    AUDITOR = "auditor"


@app.command("key")
def key(
    role: Annotated[
        KeyRole, typer.Option(help="An auditor's key reads; an operator's does all there is.")
    ] = KeyRole.OPERATOR,
    label: Annotated[
        str, typer.Option(help="Whose: keys of one label replace each other, e.g. prometheus.")
    ] = "",
    scopes: Annotated[
        str | None, typer.Option(help="What it may do at most, with commas between, e.g. metrics.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """A fresh API key, shown this once; of older ones of its role and label the latest stays alive.

    An operator's key onboards merchants, books deposits and reads /metrics. For Prometheus:
    `banyan operator key --role auditor --label prometheus --scopes metrics`.
    """
    with failing(as_json):
        if not re.fullmatch(LABEL_PATTERN, label):
            raise InvalidRequest("a label has at most 40 letters, digits, blanks, dots, _ and -")
        named = None if scopes is None else [word.strip() for word in scopes.split(",")]
        allowed = check_scopes(Role(role.value), named, None)
    with failing(as_json), desk_of(data) as desk:
        text = desk.network_key(Role(role.value), label, allowed)
        answer({"role": role.value, "api_key": text}, as_json)


@app.command("revoke")
def revoke(
    key_id: Annotated[
        str, typer.Argument(help="The 16 characters between `bnk_` and the next `_` of the key.")
    ],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ends one API key for good, whoever holds it: an operator's, an owner's, a till's, a member's.

    Within five seconds it opens nothing any more, in every process. Never type the whole key: its
    id is enough, and stands in the log beside each of its requests (`key=`).
    """
    # Whoever pastes the whole key all the same means that key.
    wanted = key_id.removeprefix("bnk_")[: SECRET_BEGINS_AT - len("bnk_")]
    with failing(as_json):
        if not re.fullmatch("[0-9a-f]{16}", wanted):
            raise InvalidRequest("an API key's id has 16 characters, 0 to 9 and a to f")
    with failing(as_json), desk_of(data) as desk:
        desk.revoke_key(wanted)
        answer({"id": wanted, "revoked": True}, as_json)
