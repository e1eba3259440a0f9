"""What a browser would post of a form that nobody touched, by the HTML standard's rules for constructing a form's entries."""

from __future__ import annotations

from html.parser import HTMLParser


def posted(html: str, button: str | None = None) -> dict[str, list[str]]:
    """Name → values, in the order of the page; ``button`` is the value of the button pressed."""
    reader = _Entries()
    reader.feed(html)
    reader.close()
    fields = {name: list(values) for name, values in reader.fields.items()}
    return {**fields, "do": [button]} if button else fields


class _Entries(HTMLParser):
    """Gathers inputs, checked boxes, chosen options and texts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.fields: dict[str, list[str]] = {}
        self._select: str | None = None
        self._textarea: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input":
            self._input(found, checked="checked" in found)
        elif tag == "select":
            self._select = found["name"]
        elif tag == "option" and self._select and "selected" in found:
            self._add(self._select, found["value"])
        elif tag == "textarea":
            self._textarea, self._text = found["name"], []

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag == "textarea" and self._textarea:
            # A line break right after the tag is not part of the text, and those in it are posted as two characters.
            text = "".join(self._text).removeprefix("\n")
            self._add(self._textarea, text.replace("\r\n", "\n").replace("\n", "\r\n"))
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text.append(data)

    def _input(self, found: dict[str, str], *, checked: bool) -> None:
        kind = found.get("type", "text")
        if kind in {"radio", "checkbox"} and not checked:
            return
        # A box of one line holds no line breaks.
        self._add(found["name"], found.get("value", "").replace("\r", "").replace("\n", ""))

    def _add(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)
