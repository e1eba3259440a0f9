"""Text of a request shows as that text, and as nothing else, in renderers that draw raw HTML."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.hooks.markdown import escaped, plain

EXAMPLES = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 1_500
EXTENSIONS = ["autolink", "table", "strikethrough", "tagfilter"]
UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")

TRAPS = [
    "Total hip replacement",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>*{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<input autofocus onfocus=alert(1)>",
    "<img src=http://evil.example/a.png onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<!-- everything after this is hidden",
    "<![CDATA[ x ]]> <?php x ?> <!DOCTYPE html>",
    "&lt;script&gt; &amp; &#60;b&#62; &nbsp; &copy",
    "a@b.com",
    "mailto:a@b.com xmpp:a@b.com/x",
    "a.b-c_d@evil.example.",
    "www.evil.com",
    "WWW.EVIL.COM (www.evil.com) *www.evil.com",
    "http://evil.com https://evil.com ftp://evil.com HTTP://EVIL.COM",
    "<http://evil.com> <a@b.com>",
    "[click](http://evil.com) [click][1] ![x](http://evil.com/x.png)",
    "[1]: http://evil.com 'title'",
    "[^1] [^1]: a footnote",
    "- [x] done",
    "# heading",
    "heading\n=======",
    "heading\n---",
    "---",
    "***",
    "> quoted",
    "- item",
    "+ item",
    "* item",
    "1. item",
    "1) item",
    "    four spaces are code",
    "\tand so is a tab",
    "```sh\nrm -rf /\n```",
    "~~~\ncode\n~~~",
    "`code` ``code``",
    "*a* **a** _a_ __a__ ~a~ ~~a~~",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "ends with two spaces  \nand a break",
    "ends with a backslash\\",
    "\\\\ \\* \\<b\\>",
    "first\r\n\r\nsecond paragraph",
    "line\u2028separator\u2029paragraph",
    "nul\x00 bell\x07 escape\x1b[31m delete\x7f next line\x85",
    "\u202etxt.exe\u202c \u2066isolated\u2069",
    "zero\u200bwidth\u2060joiner\ufeffmark",
    "a\u200b@\u2060b.com www\u2060.evil.com http:\u200b//evil.com",
    "lone \ud800 surrogate",
    "Zoë Ångström 山田 太郎 \u0645\u062d\u0645\u062f \U0001f9b4",
    "",
    " \n ",
]

PIECES = [
    *TRAPS,
    "<",
    ">",
    "&",
    "\\",
    "`",
    "www",
    ".",
    ":",
    "//",
    "/",
    "@",
    "http",
    "evil.com",
    "|",
    "\n",
    " ",
    "\t",
    "1",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join)


class Drawn(HTMLParser):
    """The elements and the text of an HTML fragment."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(f"{tag} {attrs}" if attrs else tag)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.elements.append(f"declaration {decl}")

    def handle_pi(self, data: str) -> None:
        self.elements.append(f"instruction {data}")

    def unknown_decl(self, data: str) -> None:
        self.elements.append(f"declaration {data}")


def drawn(markdown: str) -> Drawn:
    return Drawn(cmarkgfm.markdown_to_html_with_extensions(markdown, Options.CMARK_OPT_UNSAFE, EXTENSIONS))


def seen(text: str) -> str:
    """What a reader sees of ``text``: each run of unseen characters is one space."""
    return re.sub(" +", " ", UNSEEN.sub(" ", text)).strip()


@pytest.mark.parametrize("text", TRAPS)
def test_a_trap_is_drawn_as_its_own_text_in_one_paragraph(text: str) -> None:
    page = drawn(escaped(text))

    assert page.elements == (["p"] if seen(text) else [])
    assert seen(page.text.replace("\u2060", "")) == seen(text)


@pytest.mark.parametrize("text", TRAPS)
def test_a_trap_does_not_break_out_of_the_list_item_it_is_put_in(text: str) -> None:
    page = drawn(f"- **Order:** {escaped(text)}\n- next")

    assert page.elements == ["ul", "li", "strong", "li"]
    assert seen(page.text.replace("\u2060", "")) == seen(f"Order: {text} next")


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS)
def test_any_text_is_drawn_as_its_own_text_in_one_paragraph(text: str) -> None:
    markdown = escaped(text)
    page = drawn(markdown)

    assert not UNSEEN.search(markdown.replace("\u2060", "").replace(" ", ""))
    assert set(page.elements) <= {"p"}
    assert len(page.elements) <= 1
    assert page.text.rstrip("\n").replace("\u2060", "") == plain(text, len(text) + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b", "a\u2060\\@\u2060b"),
        ("www.a", "www\u2060.a"),
        ("WwW.a", "WwW\u2060.a"),
        ("www a.b", "www a.b"),
        ("ftp://a", "ftp\\:\u2060//a"),
        ("a: b/c", "a: b/c"),
    ],
)
def test_an_address_is_taken_apart_for_renderers_that_look_for_it_after_unescaping(
    text: str, expected: str
) -> None:
    # remark-gfm does, cmark-gfm does so only for "@".
    assert escaped(text) == expected


@pytest.mark.parametrize(
    "unescaped",
    ["a@b.com", "www.evil.com", "http://evil.com", "<b>x</b>", "*x*", "# x", "[x](http://evil.com)", "~~x~~"],
)
def test_without_escaping_the_same_renderer_draws_an_element(unescaped: str) -> None:
    assert drawn(unescaped).elements != ["p"]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Knee replacement", 16, "Knee replacement"),
        ("Knee replacement", 15, "Knee…"),
        ("Knee replacement", 5, "Knee…"),
        ("Knee replacement", 4, "Kne…"),
        ("Knee replacement", 1, "…"),
        ("one two three", 8, "one two…"),
        ("one two three", 7, "one…"),
        ("  spaces \r\n\t around  ", 40, "spaces around"),
        ("\u202etxt\u202c zero\u200bwidth", 40, "txt zero width"),
        ("a *b* <c>", 40, "a *b* <c>"),
        ("\u200b\n", 5, ""),
        ("", 5, ""),
    ],
)
def test_plain_text_is_one_line_cut_at_a_word(text: str, limit: int, expected: str) -> None:
    assert plain(text, limit) == expected


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(TEXTS, st.integers(1, 60))
def test_plain_text_is_never_longer_than_its_limit_and_only_ever_loses_its_end(text: str, limit: int) -> None:
    whole = plain(text, len(text) + 1)
    short = plain(text, limit)

    assert len(short) <= limit
    assert short == whole or (len(whole) > limit and whole.startswith(short.removesuffix("…")))


def test_what_means_nothing_where_it_stands_is_written_as_it_is() -> None:
    # Not all who draw cards draw Markdown.
    text = 'Mastopexy, both breasts (4.5 cm; Simon\'s stage 2b): follow-up? "soon", 50%!'
    assert escaped(text) == text
