"""Text from a request, made safe to show in a card.

A card's ``detail`` is GitHub-flavoured Markdown, and clients are known to draw the HTML inside it: the public
CDS Hooks sandbox renders with react-markdown, remark-gfm and rehype-raw, and without a sanitizer. Escaping is
the service's job.
"""

from __future__ import annotations

import re

# White space of any kind, and what cannot be seen but changes how the rest is read: controls, directions,
# zero-width and filler characters, tags, lone surrogates. Each run becomes one space, so text is one line.
_UNSEEN = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+"
)
# What may mean something where it stands. A comma, a quote, the point in "4.5 cm" and the hyphen in "follow-up" never
# do, and some who draw cards show backslashes.
_MEANINGFUL = re.compile(r"[#$&*<=>@\[\\\]^_`{|}~]|(?<!\w)[+-]|[+-](?!\w)|(?<=\d)[.)](?!\S)|:(?=/)|(?<=\])\(")
# GFM finds addresses, backslashes or not: in "a@b", "www." and "://". A word joiner there, which has no width and
# allows no line break, is what stops it.
_ADDRESS = re.compile(r"(?<=\\@)|(?=\\@)|(?<=www)(?=\.)|(?<=\\:)(?=/)", re.IGNORECASE)
_WORD_JOINER = "\u2060"
_ELLIPSIS = "…"


def escaped(text: str) -> str:
    """Markdown of one line that shows ``text`` as it is: no element, no link, no HTML, nothing unseen."""
    return _ADDRESS.sub(_WORD_JOINER, _MEANINGFUL.sub(r"\\\g<0>", _one_line(text)))


def plain(text: str, limit: int) -> str:
    """One line of ``text`` without what cannot be seen, for a place that shows no Markdown.

    More than ``limit`` (≥ 1) characters are cut after the last whole word that leaves room for an ellipsis.
    """
    line = _one_line(text)
    if len(line) <= limit:
        return line
    room = line[:limit]
    return (room.rpartition(" ")[0] or room[:-1]) + _ELLIPSIS


def _one_line(text: str) -> str:
    return _UNSEEN.sub(" ", text).strip(" ")
