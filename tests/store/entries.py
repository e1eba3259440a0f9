"""An entry, others like it, and other processes for the tests of the store."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from cds_service.store.entries import Answered, DecisionEntry, FeedbackItem

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, 9, 30, 15, 250, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
SECRET = bytes(range(32))
NAME = "Jones, Alice"

ENTRY = DecisionEntry(
    id="5d0b7a43-6d1b-4a4e-8a1c-2f4e3f9a9b10",
    at=NOW,
    hook="order-sign",
    hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    client="sandbox",
    request_digest="a" * 64,
    plan_set="b" * 64,
    determinations='[{"order": "ServiceRequest/1", "status": "final"}]',
    cards_digest="c" * 64,
    milliseconds=3.2512345678,
    replay='{"findings": []}',
)
ANSWERED = Answered(
    id="0b9d2c4e-0f52-4ac0-9fd5-0b6f4f0a6a11",
    received_at=NOW,
    client="sandbox",
    patient_id="patient-1",
    questionnaire="https://example.org/Questionnaire/q|1.0",
    order="ServiceRequest/1",
    status="completed",
    resource={"resourceType": "QuestionnaireResponse", "status": "completed", "author": {"display": NAME}},
)
FEEDBACK = FeedbackItem(
    card="card-1",
    outcome="overridden",
    outcome_timestamp=NOW,
    accepted_suggestions=(),
    reason_system="https://example.org/reasons",
    reason_code="patient-declined",
    user_comment=f"{NAME} would rather wait",
)


def another() -> DecisionEntry:
    return replace(ENTRY, id=str(uuid4()))


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)  # noqa: S603 - our own script
