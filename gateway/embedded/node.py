"""Finds, starts, watches and ends the anvil that computes the embedded chain.

anvil is disposable: it keeps nothing that the journal does not hold, so it is always ended by
SIGKILL. It runs in a session of its own (Ctrl-C is ours to handle), is killed by the kernel when we
die, has no home folder but a scratch one, and prints nothing. One left over all the same is ended
at the next start only when its recorded pid AND start time match: pids are used again.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from gateway.embedded.errors import NodeFailed, NodeMissing
from gateway.embedded.folder import DataFolder
from gateway.embedded.wire import NodeWire

# The fork whose gas rules (cap of 16,777,216 a transaction) are a limit of ours; the default moves.
HARDFORK = "osaka"
BLOCK_GAS_LIMIT = 60_000_000
# Everything that may change what a block comes out as. A base fee of 0 stays 0 in anvil, so that
# relayers pay nothing and need no funds.
FLAGS = (
    f"--no-mining --order fifo --accounts 0 --hardfork {HARDFORK} --enable-tx-gas-limit "
    f"--gas-limit {BLOCK_GAS_LIMIT} --base-fee 0"
)
START_TIMEOUT_S = 20.0
LAUNCH = Path(__file__).with_name("launch.py")
CHECKOUT = Path(__file__).parents[2]


def find_anvil(wanted: Path | None = None) -> Path:
    """The anvil binary: the one asked for, else the one npm installed beside this checkout."""
    if wanted is not None:
        if not os.access(wanted, os.X_OK):
            raise NodeMissing(f"{wanted} is not a program that can be run")
        return wanted
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NodeMissing(
            f"the embedded chain runs on Linux x86-64, not on {sys.platform} {platform.machine()}"
        )
    found = CHECKOUT / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    if not os.access(found, os.X_OK):
        raise NodeMissing(f"no anvil at {found}: run `make install`")
    return found


def genesis_document(chain_id: int, time_: int) -> bytes:
    """The genesis file: nobody is funded, nothing is deployed."""
    zeros = "0x" + "00" * 32
    return orjson.dumps(
        {
            "config": {"chainId": chain_id},
            "nonce": "0x0",
            "timestamp": hex(time_),
            "extraData": "0x",
            "gasLimit": hex(BLOCK_GAS_LIMIT),
            "difficulty": "0x0",
            "mixHash": zeros,
            "coinbase": "0x" + "00" * 20,
            "baseFeePerGas": "0x0",
            "alloc": {},
        }
    )


def start_ticks(pid: int) -> int | None:
    """When the process began, in clock ticks since boot (proc(5), field 22); None when it is
    gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def end_leftover(folder: DataFolder) -> bool:
    """End the anvil that an earlier run recorded, if it is still that process. True if it was."""
    for record in folder.runs.glob("*/anvil.json"):
        try:
            known = orjson.loads(record.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            continue
        same_boot = known.get("boot_id") == _boot_id()
        if same_boot and start_ticks(known["pid"]) == known["start_ticks"]:
            os.kill(known["pid"], signal.SIGKILL)
            return True
    return False


class Node:
    """One running anvil with an empty chain on a given genesis.

    `on_exit` is called from the watching thread when anvil ends without having been told to.
    """

    def __init__(
        self,
        binary: Path,
        folder: DataFolder,
        genesis: bytes,
        on_exit: Callable[[Node], None] | None = None,
    ) -> None:
        self.binary = binary
        self.run = folder.new_run()
        self.port = 0
        self._on_exit = on_exit
        self._stopping = threading.Event()
        self._spawned = threading.Event()
        self._failure: BaseException | None = None
        self._process: subprocess.Popen[bytes] | None = None
        (self.run / "genesis.json").write_bytes(genesis)
        chain_id = orjson.loads(genesis)["config"]["chainId"]
        # The thread that starts anvil must live as long as anvil does: the death signal hangs on
        # it.
        threading.Thread(
            target=self._watch, args=(chain_id,), name="anvil-watcher", daemon=True
        ).start()
        self._spawned.wait()
        if self._failure is not None:
            raise NodeFailed(f"anvil cannot be started: {self._failure}")
        try:
            self.port = self._find_port()
            self.wire = NodeWire(self.port)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End anvil and wait for it. Idempotent."""
        self._stopping.set()
        if self.port:
            self.wire.close()
        if self._process is not None:
            # Does nothing once the process has been waited for, so no stranger is hit.
            self._process.kill()
            # Not for the watching thread: it may stand in `on_exit`, waiting for our caller's lock.
            self._process.wait()

    def _command(self, chain_id: int) -> list[str]:
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())]
        return launch + [
            str(self.binary),
            *FLAGS.split(),
            *("--chain-id", str(chain_id), "--init", str(self.run / "genesis.json")),
            *("--cache-path", str(self.run / "cache"), "--no-request-size-limit"),
            *("--quiet", "--no-cors", "--host", "127.0.0.1", "--port", "0"),
        ]

    def _watch(self, chain_id: int) -> None:
        try:
            with (self.run / "stderr").open("wb") as stderr:
                self._process = subprocess.Popen(
                    self._command(chain_id),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    start_new_session=True,
                    cwd=self.run,
                    # Nothing of the user's environment steers a node; and what it writes into
                    # its home goes away with the run.
                    env={"HOME": str(self.run), "PATH": os.defpath},
                )
            self._record()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._spawned.set()
        self._process.wait()
        if not self._stopping.is_set() and self.port and self._on_exit is not None:
            self._on_exit(self)

    def _record(self) -> None:
        known = {"pid": self.pid, "start_ticks": start_ticks(self.pid), "boot_id": _boot_id()}
        (self.run / "anvil.json").write_bytes(orjson.dumps(known))

    def _find_port(self) -> int:
        """The port the kernel gave it (anvil prints that only together with every request)."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                text = (self.run / "stderr").read_text(errors="replace").strip()
                raise NodeFailed(f"anvil ended at once: {text or 'no message'}")
            port = _listening_port(self.pid)
            if port:
                return port
            time.sleep(0.002)
        raise NodeFailed(f"anvil did not listen within {START_TIMEOUT_S:.0f} s")


def _listening_port(pid: int) -> int | None:
    """The TCP port on which a process listens, from /proc; None while there is none."""
    try:
        sockets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    for row in table:
        fields = row.split()
        # State 0A is LISTEN; the address is hexadecimal with the port last.
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
            return int(fields[1].rpartition(":")[2], 16)
    return None
