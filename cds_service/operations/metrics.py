"""What is counted and timed while the service runs, for Prometheus. No label tells of a patient, a caller or an answer.

A label's values are few and known: policies, outcomes, reasons. Names: https://prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from cds_service.policies.determination import UNDETERMINED, Determination
from cds_service.record.patient_record import QueryAnswer

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Clinicians wait for a hook: 0.5 s is what CDS Hooks asks for, 0.45 s what leaves the network its share.
_HOOK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.45, 0.5, 1.0, 2.5, 5.0, 10.0)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
# How the words of why a query was not read begin → what kind of fault it was.
_READ_FAULTS = (
    ("the server did not answer in time", "late"),
    ("the server could not be reached", "unreachable"),
    ("the connection to the server broke", "unreachable"),
    ("the server did not accept the access token", "refused"),
    ("the server refused access", "refused"),
    ("the server was busy", "busy"),
    ("the server failed", "failed"),
    ("the FHIR server is not one", "not-allowed"),
    ("the FHIR server's address is not one", "not-allowed"),
    ("cut off after", "cut-off"),
)


@dataclass(frozen=True)
class Condition:
    """The service at one moment. ``reloaded_at``: Unix time of the last reload, and whether it was good."""

    is_ready: bool
    policies: int
    digest: str
    in_flight: int
    reloaded_at: float | None
    reload_was_good: bool | None


class Told(NamedTuple):
    """What is counted of a determination. ``reasons``: why outstanding criteria of one that is open are unknown."""

    policy: str
    version: str
    outcome: str
    reasons: tuple[str, ...]


def told(determined: Determination) -> Told:
    """What is counted of a determination."""
    policy, reasons = determined.policy, set()
    if determined.outcome is None:
        findings = (determined.finding(criterion) for criterion in determined.outstanding)
        reasons = {finding.why for finding in findings if finding and finding.why}
    outcome = determined.outcome.code if determined.outcome else UNDETERMINED
    return Told(policy.id, policy.version, outcome, tuple(sorted(reasons)))


class Metrics:
    """The counts of one service. ``shared``: whether several processes add to the same, by PROMETHEUS_MULTIPROC_DIR."""

    def __init__(self, condition: Callable[[], Condition], *, shared: bool) -> None:
        self._shared = shared
        self._conditions = CollectorRegistry()
        ProcessCollector(registry=self._conditions)
        self._conditions.register(_Conditions(condition))
        own = self._counts = CollectorRegistry()
        self._determinations = Counter(
            "cds_determinations", "Determinations told.", ("policy", "version", "outcome"), registry=own
        )
        self._undetermined = Counter(
            "cds_undetermined",
            "Undetermined, by why a criterion that is outstanding is unknown.",
            ("policy", "version", "reason"),
            registry=own,
        )
        self._hook_seconds = Histogram(
            "cds_hook_seconds", "From a hook request to its answer.", buckets=_HOOK_SECONDS, registry=own
        )
        self._feedback = Counter(
            "cds_card_feedback", "Cards by what became of them.", ("outcome",), registry=own
        )
        self._read_faults = Counter(
            "cds_record_read_faults", "Queries that a FHIR server did not answer.", ("kind",), registry=own
        )
        self._commit_seconds = Histogram(
            "cds_store_commit_seconds", "A commit of the store.", buckets=_COMMIT_SECONDS, registry=own
        )
        self._rejected = Counter("cds_rejected_clients", "Calls by nobody we know.", registry=own)
        self._overloads = Counter("cds_overloads", "Hook requests refused as one too many.", registry=own)
        self._reloads = Counter("cds_reloads", "Reloads of the policies.", ("result",), registry=own)

    def decided(self, told: Iterable[Told], seconds: float) -> None:
        """A hook was answered, after so many seconds, with these determinations."""
        self._hook_seconds.observe(seconds)
        for each in told:
            self._determinations.labels(each.policy, each.version, each.outcome).inc()
            for reason in each.reasons:
                self._undetermined.labels(each.policy, each.version, reason).inc()

    def read(self, answers: Iterable[QueryAnswer]) -> None:
        """A FHIR server was asked, and answered so."""
        for answer in answers:
            if answer.not_read is not None:
                self._read_faults.labels(read_fault(answer.not_read)).inc()

    def given_feedback(self, outcome: str) -> None:
        """A card was accepted or overridden."""
        self._feedback.labels(outcome).inc()

    def committed(self, seconds: float) -> None:
        """The store committed, in so many seconds."""
        self._commit_seconds.observe(seconds)

    def rejected_client(self) -> None:
        """A caller did not prove who it is."""
        self._rejected.inc()

    def overloaded(self) -> None:
        """A hook request was refused because too many were under way."""
        self._overloads.inc()

    def reloaded(self, *, is_good: bool) -> None:
        """The policies were read anew."""
        self._reloads.labels("good" if is_good else "refused").inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format (``CONTENT_TYPE``)."""
        return generate_latest(_of_all_processes() if self._shared else self._counts) + generate_latest(
            self._conditions
        )


def read_fault(words: str) -> str:
    """The kind of a fault, of few, by the words of why a query was not read."""
    return next((kind for start, kind in _READ_FAULTS if words.startswith(start)), "unusable")


def _of_all_processes() -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


class _Conditions(Collector):
    """The condition of this process, asked for whenever somebody looks."""

    def __init__(self, condition: Callable[[], Condition]) -> None:
        self._condition = condition

    def collect(self) -> Iterable[Metric]:
        now = self._condition()
        yield _gauge("cds_ready", "Whether hooks are answered.", float(now.is_ready))
        yield _gauge("cds_policies", "Policies in use.", now.policies)
        yield _gauge("cds_policy_set_info", "The policy set in use.", 1, {"digest": now.digest})
        yield _gauge("cds_hooks_in_flight", "Hook requests under way.", now.in_flight)
        if now.reloaded_at is not None:
            yield _gauge(
                "cds_last_reload_timestamp_seconds", "When policies were last read anew.", now.reloaded_at
            )
            yield _gauge(
                "cds_last_reload_good", "Whether they could be used.", float(bool(now.reload_was_good))
            )


def _gauge(name: str, words: str, value: float, labels: Mapping[str, str] | None = None) -> Metric:
    labels = labels or {}
    family = GaugeMetricFamily(name, words, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family
