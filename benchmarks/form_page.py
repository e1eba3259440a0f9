"""What a form page costs in a browser: the first useful paint and the page's weight. Run: python benchmarks/form_page.py

In headless Chromium on loopback, with the real plans and fixtures. First contentful paint is the browser's own figure
(PerformancePaintTiming), of a page that is loaded anew with nothing kept; the weight is of all it loads, in bytes as sent
(`transfer`, with headers) and unpacked. Goals: under 300 ms and under 200 KB.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser.walking import DERBY, NOT_FUNDED, opened, ordered
from tests.chromium import launched_chromium
from tests.running_service import running_service

LOADS = 15
PAINT_GOAL, WEIGHT_GOAL = 300, 200_000  # milliseconds; bytes
# After the load event, so that everything is counted.
MEASURED = """async () => {
  const painted = () => performance.getEntriesByName('first-contentful-paint')[0]
  for (let tries = 0; !painted() && tries < 100; tries++) await new Promise((next) => setTimeout(next, 20))
  const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  const sum = (member) => loaded.reduce((total, each) => total + each[member], 0)
  return [painted().startTime, loaded[0].responseStart, sum('transferSize'), sum('decodedBodySize'), loaded.length]
}"""


@dataclass(frozen=True)
class Measured:
    """One page: milliseconds to first contentful paint (median, slowest) and to the first byte, bytes, files."""

    paint: float
    slowest: float
    first_byte: float
    sent: int
    unpacked: int
    files: int


def measured(page: Page, url: str) -> Measured:
    """A page loaded ``LOADS`` times with nothing in the cache, after one load that is not counted."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(url, wait_until="load")
    found = []
    for _ in range(LOADS):
        page.goto(url, wait_until="load")
        found.append(page.evaluate(MEASURED))
    paints, first_bytes = [each[0] for each in found], [each[1] for each in found]
    return Measured(median(paints), max(paints), median(first_bytes), *found[-1][2:])


def main() -> None:
    """Print the table."""
    with (
        TemporaryDirectory() as folder,
        running_service(Path(folder) / "form.db") as service,
        launched_chromium() as browser,
    ):
        page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
        criteria = opened(ordered(page, service, DERBY), "Answer 2 questions")
        request = opened(ordered(page, service, NOT_FUNDED), "Request individual funding")
        pages = {
            "one question": measured(criteria, criteria.url),
            "whole form": measured(criteria, f"{criteria.url}?all=1"),
            "funding request": measured(request, request.url),
        }
    print(
        f"{'page':<16} {'paint ms':>9} {'slowest':>8} {'first byte':>11} {'sent B':>9} {'unpacked B':>11} {'files':>6}"
    )
    for name, each in pages.items():
        print(
            f"{name:<16} {each.paint:>9.0f} {each.slowest:>8.0f} {each.first_byte:>11.0f}"
            f" {each.sent:>9,} {each.unpacked:>11,} {each.files:>6}"
        )
    met = all(each.paint < PAINT_GOAL and each.unpacked < WEIGHT_GOAL for each in pages.values())
    print(
        f"goals, paint under {PAINT_GOAL} ms and weight under {WEIGHT_GOAL:,} B: {'met' if met else 'NOT met'}"
    )


if __name__ == "__main__":
    main()
