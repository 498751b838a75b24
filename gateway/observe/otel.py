"""OpenTelemetry: imported only where traces are wanted (the extra `otel`)."""

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from gateway import ids

SERVICE = "banyan-gateway"


class OrderTraces:
    """Spans of orders, sent by a span processor of OpenTelemetry's."""

    def __init__(self, processor: SpanProcessor) -> None:
        self.provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer("banyan")
        HTTPXClientInstrumentor().instrument(tracer_provider=self.provider)

    def span(
        self, raw_id: bytes, name: str, began: int, ended: int, values: Mapping[str, Any]
    ) -> None:
        """One span in the trace that the order's id names."""
        # No span of ours is the root: the order itself is, and it never ends.
        parent = SpanContext(
            trace_id=int.from_bytes(raw_id, "big"),
            span_id=int.from_bytes(raw_id[8:], "big") or secrets.randbits(64) | 1,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(NonRecordingSpan(parent)),
            start_time=began,
            attributes={"banyan.order": ids.encode(ids.ORDER, raw_id), **values},
        )
        span.end(ended)

    def instrument(self, app: FastAPI) -> None:
        """Traces the requests to `app`."""
        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=self.provider, excluded_urls="healthz,readyz,metrics"
        )

    def close(self) -> None:
        """Sends what waits, within a few seconds, and ends."""
        HTTPXClientInstrumentor().uninstrument()
        self.provider.shutdown()


def exporting_to(endpoint: str, exporter: SpanExporter | None = None) -> OrderTraces:
    """Traces to a collector's OTLP port (HTTP), such as `http://127.0.0.1:4318/v1/traces`."""
    return OrderTraces(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint)))
