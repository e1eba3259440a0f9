"""Spans for OpenTelemetry, when its packages are installed (extra ``telemetry``) and an endpoint is configured."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

logger = logging.getLogger("cds_service")

Span = Callable[..., AbstractContextManager[Any]]
"""``span(name, **ids)``: a context in which the span is the current one. Its attributes are ids and counts only.

``parent``, a W3C traceparent, says of which trace of the caller's it is a part.
"""


def span_maker(endpoint: str | None) -> Span:
    """What makes the spans: they go to the collector at ``endpoint``, by OTLP over HTTP; nowhere without one."""
    if not endpoint:
        return _no_span
    try:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        export = import_module("opentelemetry.sdk.trace.export")
        sdk = import_module("opentelemetry.sdk.trace")
        propagate = import_module("opentelemetry.propagate")
        resources = import_module("opentelemetry.sdk.resources")
    except ImportError:
        logger.warning("an OpenTelemetry endpoint is configured, but cds-service[telemetry] is not installed")
        return _no_span
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "cds-service"}))
    # The exporter reads the endpoint, and all its other settings, from OpenTelemetry's own environment variables.
    provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter()))
    tracer = provider.get_tracer("cds_service")

    def span(name: str, parent: str | None = None, **ids: str | int) -> AbstractContextManager[Any]:
        around = propagate.extract({"traceparent": parent}) if parent else None
        # No recorded exceptions: their words may quote a request.
        made: AbstractContextManager[Any] = tracer.start_as_current_span(
            name, around, attributes=ids, record_exception=False, set_status_on_exception=False
        )
        return made

    return span


def _no_span(_name: str, **_ids: str | int | None) -> AbstractContextManager[Any]:
    return nullcontext()
