"""What the tests here measured, as a table at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

COMPARED, AXE = "a form compared item by item", "what axe finds"


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Plan × renderer × items compared × differences; and what axe finds in each form."""
    told: list[tuple[str, object]] = [
        pair for report in terminalreporter.stats.get("passed", []) for pair in report.user_properties
    ]
    compared = [value for name, value in told if name == COMPARED and isinstance(value, list | tuple)]
    if compared:
        terminalreporter.write_line(
            f"\n{'form':34}{'renderer':14}{'stories':>8}{'items':>7}{'differences':>13}"
        )
    for form, renderer in sorted({(each[0], each[1]) for each in compared}):
        rows = [each for each in compared if (each[0], each[1]) == (form, renderer)]
        items, differing = sum(each[2] for each in rows), sum(each[3] for each in rows)
        terminalreporter.write_line(f"{form:34}{renderer:14}{len(rows):8}{items:7}{differing:13}")
    for name, value in told:
        if name == AXE:
            terminalreporter.write_line(str(value))
