"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of a network's data (default: .banyan/demo)."),
]
MirrorOption = Annotated[
    str | None,
    typer.Option(
        "--mirror",
        help="SQL URL of the mirror: sqlite:///FILE or postgresql://... (default: in DATA).",
    ),
]
RpcOption = Annotated[
    str | None,
    typer.Option("--rpc", help="JSON-RPC URL of the chain (default: the network running in DATA)."),
]
DeploymentOption = Annotated[
    Path | None,
    typer.Option("--deployment", help="deployment.json of the network (default: in DATA)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
