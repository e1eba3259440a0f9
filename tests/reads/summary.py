"""The deadlines that the table of faults kept, as lines at the end of the test run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

PROPERTY = "milliseconds past the deadline"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print how many reads of failing servers there were, and how late the latest answer was."""
    late = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if late:
        in_time = sum(each <= 0 for each in late)
        terminalreporter.write_line(
            f"reads of failing servers: {len(late)}, answered before the deadline {in_time}, "
            f"latest {max(late):.0f} ms after it"
        )
