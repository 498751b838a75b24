"""Traces: off by default, and an order's trace is named by the order."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import ids
from gateway.errors import SettingsWrong
from gateway.observe import tracing
from gateway.observe.otel import OrderTraces
from gateway.settings import Settings
from tests.gateway.helpers import Town, fresh


def test_tracing__by_default__is_off_and_imports_nothing() -> None:
    assert Settings().otel_endpoint is None
    tracing.start(Settings())()
    assert not tracing.is_on()


def test_tracing__without_opentelemetry__says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gateway.observe.otel", None)
    with pytest.raises(SettingsWrong, match=r"banyan\[otel\]"):
        tracing.start(Settings(otel_endpoint="http://127.0.0.1:4318/v1/traces"))


def test_order__traced__has_accept_seal_send_and_mined_under_its_id(town: Town) -> None:
    exporter = InMemorySpanExporter()
    traces = OrderTraces(SimpleSpanProcessor(exporter))
    end = tracing.use(traces)
    try:
        order = town.post(
            "/v1/issuances", {"member": town.ada.id, "points": 3, "reference": fresh("till")}
        ).json()
        town.network.gateway.drain()
    finally:
        end()
    trace_id = int.from_bytes(ids.decode(ids.ORDER, order["id"]), "big")
    mine = [s for s in exporter.get_finished_spans() if s.context.trace_id == trace_id]
    mine.sort(key=lambda span: span.start_time)
    assert [span.name for span in mine] == ["accept", "seal", "send", "mined"]
    assert {span.attributes["banyan.order"] for span in mine} == {order["id"]}
    assert mine[2].attributes["tx"] == mine[3].attributes["tx"]
    assert all(span.end_time >= span.start_time for span in mine)
