"""Shows, at the end of a run of these tests, which deadlines were kept."""

from __future__ import annotations

from tests.reads.summary import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
