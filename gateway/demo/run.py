"""The demo as one run: plan, network, pages, import, summary; then it stays up until Ctrl-C."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import typer
from fastapi import FastAPI

from gateway.cli.running import announced
from gateway.demo import display
from gateway.demo.diary import Diary
from gateway.demo.driver import Driver
from gateway.demo.errors import DemoError, FolderForeign
from gateway.demo.patience import patiently
from gateway.demo.plan import Plan, load_plan, make_plan, require_same, store_plan
from gateway.demo.purchases import DAY_S, Extent, Purchases
from gateway.demo.summary import Summary, facts, summarize
from gateway.embedded.folder import DataFolder, erase
from gateway.listening import server_of
from gateway.network import Network, open_network
from indexer.cli.output import progress_bar

DEFAULT_EXTENT = Extent(weeks=4)
EXIT_DIFFERENT = 1
# What shells give for a program that Ctrl-C ended.
EXIT_INTERRUPTED = 130
LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. `extent` None: as it was begun, else DEFAULT_EXTENT."""

    data: Path
    extent: Extent | None
    fresh: bool
    exit: bool
    json_file: Path | None
    port: int


class PortTaken(DemoError):
    def __init__(self, port: int) -> None:
        super().__init__("port_taken", f"port {port} is taken; choose another one with --port")


class Stopper:
    """Ctrl-C and SIGTERM. While `gently` is set the first one only asks; otherwise, and the second
    time, KeyboardInterrupt unwinds at once (every crash is survivable, so that is safe as well).
    """

    def __init__(self) -> None:
        self.gently = False
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)

    def asked(self) -> bool:
        return self._asked.is_set()

    def wait(self) -> None:
        self._asked.wait()

    def _signalled(self, *_: object) -> None:
        if self._asked.is_set() or not self.gently:
            raise KeyboardInterrupt
        self._asked.set()


def run(options: Options, purchases: Purchases | None = None) -> int:
    """The exit code: 0 all is well, 1 a total is wrong, 130 interrupted.

    `purchases`: others than the installed ones. Raises BanyanError for everything that a sentence
    explains.
    """
    stopper = Stopper()
    try:
        return _run(options, purchases or Purchases.installed(), stopper)
    except KeyboardInterrupt:
        typer.echo("stopped; the next start goes on from here", err=True)
        return EXIT_INTERRUPTED


def _run(options: Options, purchases: Purchases, stopper: Stopper) -> int:
    began = time.monotonic()
    plan = prepare(options, purchases)
    with ExitStack() as stack:
        with progress_bar("blocks replayed") as shown:
            network = patiently(
                lambda: open_network(
                    options.data, first_time=plan.first_time, background=False, progress=shown
                )
            )
        stack.callback(network.stop)
        if not options.exit:
            stack.enter_context(serving(network.app, options.port))
        diary = Diary(options.data)
        driver = Driver(network, plan, purchases, diary)
        stopper.gently = True
        left = plan.days - len(diary)
        if left:
            with display.importing(plan) as progress:
                driver.run(progress, stopper.asked)
        if len(diary) < plan.days:
            typer.echo(f"stopped with {len(diary)} of {plan.days} days final", err=True)
            return EXIT_INTERRUPTED
        if options.exit or left or options.json_file:
            summary = patiently(
                lambda: summarize(network, plan, purchases, diary, driver.seconds, began)
            )
            code = report(summary, options.json_file)
        else:
            display.show_summary(facts(network, diary))
            code = 0
        if not options.exit:
            with announced(network.gateway, f"http://127.0.0.1:{options.port}"):
                stay(network, plan, driver, options.port, stopper)
        return code


def prepare(options: Options, purchases: Purchases) -> Plan:
    """The plan of the data folder, made and stored if it is new. Raises AlreadyRunning,
    DataFormatOther, ParametersOther, FolderForeign."""
    if options.fresh:
        begin_anew(options.data)
    # Held only for the plan; the network takes the lock for itself.
    with DataFolder(options.data):
        plan = load_plan(options.data)
        if plan is None:
            today = int(time.time()) // DAY_S
            with display.planning() as told:
                plan = make_plan(purchases, options.extent or DEFAULT_EXTENT, today, told)
            store_plan(options.data, plan)
        require_same(plan, options.data, options.extent, purchases.digest)
    return plan


def begin_anew(folder: Path) -> None:
    """--fresh: delete the network in the folder. Raises FolderForeign, AlreadyRunning."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "version").exists():
        raise FolderForeign(folder)
    if erase(folder):
        typer.echo(f"deleted the network in {folder}", err=True)


def report(summary: Summary, json_file: Path | None) -> int:
    """Show the summary, write the JSON; the exit code."""
    display.show_summary(summary.content)
    if json_file is not None:
        json_file.write_bytes(orjson.dumps(summary.content, option=orjson.OPT_INDENT_2) + b"\n")
    if not summary.holds:
        typer.echo("something above is not as it must be", err=True)
    return 0 if summary.holds else EXIT_DIFFERENT


def stay(network: Network, plan: Plan, driver: Driver, port: int, stopper: Stopper) -> None:
    """From the day of the last purchase to now: the network lives on the wall clock."""
    network.chain.clock.set(None)
    network.chain.release()
    network.start_background()
    display.show_places(network, plan, driver, f"http://{LOCALHOST}:{port}")
    stopper.wait()


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[None]:
    """API and pages in a thread, so that one can watch the import. Raises PortTaken."""
    try:
        listener = socket.create_server((LOCALHOST, port))
    except OSError:
        raise PortTaken(port) from None
    server = server_of(app, grace_s=5)
    run: Callable[..., Any] = server.run
    thread = threading.Thread(
        target=run, kwargs={"sockets": [listener]}, name="http-server", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
