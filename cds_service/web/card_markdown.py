"""The Markdown of our cards as HTML: paragraphs, lists, bold, links and escapes. ``static/try.js`` does the same.

Whatever else Markdown knows is shown as it is written, and nothing in a text can become an element of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup

_ITEM = re.compile(r"(?:-|(\d{1,9})\.) (.*)", re.DOTALL)
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|\*\*(?P<bold>(?:\\.|[^*\\])+)\*\*"
    r"|\[(?P<label>(?:\\.|[^\[\]\\])+)\]\((?P<url>https?://[^\s()<>]+)\)",
    re.DOTALL,
)


def as_html(markdown: str) -> Markup:
    """The text as HTML."""
    blocks = (block for block in re.split(r"\n{2,}", markdown.strip("\n")) if block.strip())
    return Markup("\n").join(_block(block) for block in blocks)


def _block(block: str) -> Markup:
    items = [_ITEM.fullmatch(line) for line in block.split("\n")]
    if not all(items):
        return Markup("<p>{}</p>").format(_inline(block))
    kind = "ol" if items[0] and items[0][1] else "ul"
    listed = Markup("").join(Markup("<li>{}</li>").format(_inline(item[2])) for item in items if item)
    return Markup("<{0}>{1}</{0}>").format(Markup(kind), listed)  # noqa: S704  "ol" or "ul"


def _inline(text: str) -> Markup:
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[str | Markup]:
    """Joined by a Markup, which escapes the plain ones."""
    end = 0
    for found in _INLINE.finditer(text):
        yield text[end : found.start()]
        end = found.end()
        if found["bold"]:
            yield Markup("<strong>{}</strong>").format(_inline(found["bold"]))
        elif found["url"]:
            yield Markup('<a href="{}">{}</a>').format(found["url"], _inline(found["label"]))
        else:
            yield found["escaped"]
    yield text[end:]
