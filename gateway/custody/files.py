"""Secret files: read only when nobody else can, written whole or not at all."""

import os
import secrets
import stat
from pathlib import Path

from gateway.errors import MasterKeyUnsafe

# A passphrase or a key is short; what is longer is the wrong file.
FILE_BYTES_MAX = 4096


def read_secret(path: Path, what: str) -> bytes:
    """The file's content. Raises MasterKeyUnsafe: missing, no file, readable or owned by others."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MasterKeyUnsafe(f"there is no {what} at {path}: {error.strerror}") from None
    # Asked of the open file, so that nobody changes it between look and read.
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise MasterKeyUnsafe(f"{path} is no file")
    with os.fdopen(handle, "rb") as file:
        mode = stat.S_IMODE(status.st_mode)
        if mode & _forbidden(path):
            raise MasterKeyUnsafe(f"{path} can be read by others (mode {mode:04o}); chmod 600 it")
        if status.st_uid not in (os.geteuid(), 0):
            raise MasterKeyUnsafe(f"{path} belongs to another user (uid {status.st_uid})")
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise MasterKeyUnsafe(f"{path} is longer than {FILE_BYTES_MAX} bytes: not a {what}")
    return content


def _forbidden(path: Path) -> int:
    """Mode bits that must not be set. systemd hands credentials over by an access control list,
    whose mask shows as the group's bits: there only the bits of others count.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.resolve().is_relative_to(Path(credentials).resolve()):
        return 0o007
    return 0o077


def write_key(path: Path, size: int) -> None:
    """A fresh random key of `size` bytes, kept through a power cut; one that is there stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(size))
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        # A link fails where a key is already there: two first starts cannot take each other's.
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
