"""An entry, others like it, and other processes for the tests of the decision log."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from cds_service.store.decisions import DecisionEntry

ROOT = Path(__file__).parents[2]

ENTRY = DecisionEntry(
    id="5d0b7a43-6d1b-4a4e-8a1c-2f4e3f9a9b10",
    at=datetime(2026, 11, 22, 9, 30, 15, 250, tzinfo=UTC),
    hook="order-sign",
    hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    client="sandbox",
    request_digest="a" * 64,
    plan_set="b" * 64,
    determinations='[{"order": "ServiceRequest/1", "status": "final"}]',
    cards_digest="c" * 64,
    milliseconds=3.25,
)


def another() -> DecisionEntry:
    return replace(ENTRY, id=str(uuid4()))


def child(script: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script
