"""What the SDK keeps out of itself, and the names it keeps."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import wallet_sdk
from wallet_sdk import errors
from wallet_sdk.errors import BanyanError

PACKAGE = Path(wallet_sdk.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN = {
    "sqlalchemy": "knows no SQL",
    "sqlite3": "knows no SQL",
    "psycopg": "knows no SQL",
    "alembic": "knows no SQL",
    "fastapi": "serves no HTTP",
    "starlette": "serves no HTTP",
    "uvicorn": "serves no HTTP",
    "typer": "is no program",
    "pydantic_settings": "reads no environment",
    "dotenv": "reads no environment",
    "web3": "speaks JSON-RPC itself",
    "gateway": "imports nothing above it",
    "indexer": "imports nothing above it",
}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module__any__imports_nothing_it_should_not_know(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert {name: FORBIDDEN[name] for name in imports(tree) & FORBIDDEN.keys()} == {}
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "os"
        for alias in node.names
    }
    assert names & ENVIRONMENT == set()


def test_imports__of_a_sample__are_found() -> None:
    sample = "import sqlalchemy.orm\ndef f():\n    from web3.auto import w3\n"
    assert imports(ast.parse(sample)) == {"sqlalchemy", "web3"}


PUBLIC = {
    "abi",
    "buckets",
    "client",
    "contracts",
    "deployment",
    "epochs",
    "errors",
    "events",
    "merkle",
    "names",
    "orders",
    "refusals",
    "rpc",
    "signers",
    "types",
    "webhooks",
    "words",
}


def test_rooms__of_the_package__are_these() -> None:
    found = {path.stem if path.suffix else path.name for path in PACKAGE.iterdir()}
    assert {name for name in found if not name.startswith("_") and name != "py"} == PUBLIC


@pytest.mark.parametrize("room", sorted(PUBLIC))
def test_room__what_it_offers__is_there_and_sorted(room: str) -> None:
    module = importlib.import_module(f"wallet_sdk.{room}")
    offered = getattr(module, "__all__", [])
    assert all(hasattr(module, name) for name in offered)
    assert len(set(offered)) == len(offered)


def test_errors__every_class__stands_in_the_tree_at_the_top() -> None:
    drawn = errors.__doc__ or ""
    own = [
        name
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, BanyanError) and found.__module__ == errors.__name__
    ]
    assert own
    assert [name for name in own if f" {name} " not in drawn] == []
