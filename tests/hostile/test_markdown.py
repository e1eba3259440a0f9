"""Text of a request in a card, drawn as the public CDS Hooks sandbox draws it: no element that we did not write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from cds_service.hooks.markdown import escaped, plain
from tests.hooks.test_markdown import PIECES, Drawn, seen

FOLDER = Path(__file__).with_name("markdown")
STRINGS = int(os.environ.get("HOSTILE_STRINGS", "2000"))
"""How many texts are drawn; 100,000 before a release."""
AT_ONCE = 10_000
LONGEST = 10_000

pytestmark = pytest.mark.skipif(
    shutil.which("npm") is None or shutil.which("node") is None, reason="no Node.js with npm is installed"
)


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    """Exactly the locked packages."""
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        command = [str(shutil.which("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True)  # noqa: S603


def text(random: Random) -> str:
    """Up to eight pieces, of traps, punctuation and any characters there are."""
    return "".join(
        random.choice(PIECES)
        if random.random() < 0.7
        else "".join(chr(_scalar(random)) for _ in range(random.randrange(6)))
        for _ in range(random.randrange(1, 9))
    )


def _scalar(random: Random) -> int:
    """A code point, of ASCII, Latin or any plane; no surrogate."""
    found = random.randrange(random.choice((0x80, 0x250, 0x3000, 0x11_0000)))
    return 0x20 if 0xD800 <= found <= 0xDFFF else found


def drawn(markdown: list[str]) -> list[Drawn]:
    """Each text as react-markdown with remark-gfm and rehype-raw draws it."""
    sent = "".join(json.dumps(each) + "\n" for each in markdown).encode()
    command = [str(shutil.which("node")), "draw.mjs"]
    done = subprocess.run(command, cwd=FOLDER, input=sent, capture_output=True, check=True)  # noqa: S603
    return [Drawn(json.loads(line)) for line in done.stdout.splitlines()]


# How a card writes text of a request: behind a label, in a list, and alone.
FRAMES = (("**Order**: {}", ["p", "strong"]), ("- {}", ["ul", "li"]), ("{}", ["p"]))


def test_what_is_not_escaped_is_drawn_as_elements() -> None:
    (page,) = drawn(["<iframe srcdoc=x></iframe>\n\nwww.evil.example"])

    assert "iframe [('srcdoc', 'x')]" in page.elements
    assert any(each.startswith("a [") for each in page.elements)


@pytest.mark.parametrize(("frame", "elements"), FRAMES, ids=["a label", "a list", "a paragraph"])
def test_no_text_is_drawn_as_an_element(frame: str, elements: list[str]) -> None:
    random = Random(frame)  # noqa: S311
    wanted = STRINGS // len(FRAMES) + 1
    for start in range(0, wanted, AT_ONCE):
        # A text with nothing to see in it draws nothing.
        texts = [f"x{text(random)}" for _ in range(min(AT_ONCE, wanted - start))]
        pages = drawn([frame.format(escaped(each)) for each in texts])

        assert len(pages) == len(texts)
        for each, page in zip(texts, pages, strict=True):
            assert page.elements == elements, each
            label = "Order: " if "Order" in frame else ""
            # A word joiner, which nobody sees, keeps addresses from becoming links.
            assert seen(page.text.replace("\u2060", "")) == seen(plain(label + each, LONGEST)), each
