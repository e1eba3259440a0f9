"""JSON has one meaning, or is refused: checked against a reader that is slow and obvious."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds_service.errors import RequestError
from cds_service.trust.limits import MOST_NESTED, limited_json


class RefusedError(Exception):
    """What the slow reader says of JSON that must not be taken."""


def slow_value(text: str) -> object:
    """The value of a JSON text, read in Python, or RefusedError."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise RefusedError
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=members)
    if depth(value) > MOST_NESTED or "\0" in "".join(texts(value)):
        raise RefusedError
    return value


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(each for member in value.values() for each in texts(member))]
    if isinstance(value, list):
        return [each for item in value for each in texts(item)]
    return [value] if isinstance(value, str) else []


ESCAPES = {":": r"\u003A", "a": r"\u0061", "/": r"\/"}


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """JSON in which members are named twice, colons are escaped and nesting is deep, now and then."""
    characters = st.sampled_from([":", "a", "\\", '"', "{", "}", "[", "\0", "/", " ", "é", "u003a", "u0000"])
    strings = st.lists(characters, max_size=4).map("".join)

    def string() -> str:
        written = json.dumps(draw(strings))
        for character, escape in ESCAPES.items():
            if draw(st.booleans()):
                # Not behind a backslash, where it would mean something else.
                written = re.sub(rf"(?<!\\){re.escape(character)}", escape.replace("\\", r"\\"), written)
        return written

    def value(left: int) -> str:
        kind = draw(st.sampled_from(["object", "array", "string", "number"])) if left else "string"
        if kind == "object":
            pairs = [f"{string()} : {value(left - 1)}" for _ in range(draw(st.integers(0, 3)))]
            return "{" + ",".join(pairs) + "}"
        if kind == "array":
            return "[" + ",".join(value(left - 1) for _ in range(draw(st.integers(0, 3)))) + "]"
        return string() if kind == "string" else draw(st.sampled_from(["0", "-1.5e3", "true", "null"]))

    wraps = draw(st.sampled_from([0, 0, 0, MOST_NESTED - 2, MOST_NESTED - 1, MOST_NESTED]))
    return "[" * wraps + value(3) + "]" * wraps


@given(json_texts())
@example(r'{"a":1,"\u0061":2}')
@example(r'{"a":"\u003a","a":""}')
@example(r'{"a":"","a":"\u003a"}')
@example(r'{"a":"","a":"\u003A"}')
@example('{"a":1,"a":1}')
@example('{"a":":","a":""}')
@example(r'{"a":"\\u0000"}')
@example(r'{"a":"\\\u0000"}')
@example('{"a":{"b":1,"b":2},"a":3}')
def test_json_is_taken_exactly_when_the_slow_reader_takes_it(text: str) -> None:
    try:
        expected = slow_value(text)
    except RefusedError:
        with pytest.raises(RequestError):
            limited_json(text.encode())
    else:
        assert limited_json(text.encode()) == expected


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('{"hook": "order-select", "hook": "order-sign"}', "hook"),
        ('{"a": [{}, {"b": {"c": 1, "d": 2, "c": 3}}]}', "a[1].b.c"),
        ('[{"a": 1, "a": 2}]', "$[0].a"),
        (r'{"a": {"b": ["x\u0000"]}}', "a.b[0]"),
        (r'{"a": {"\u0000": 1}}', "a"),
    ],
)
def test_a_refusal_names_the_place(body: str, where: str) -> None:
    with pytest.raises(RequestError) as refused:
        limited_json(body.encode())

    assert refused.value.where == where


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("deep", [MOST_NESTED, MOST_NESTED + 1, 254, 255, 1_024, 1_025, 1_000_000])
def test_json_nests_as_deep_as_a_form_needs_and_no_deeper(opening: str, deep: int) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    body = (opening * deep + "1" + closing * deep).encode()

    if deep == MOST_NESTED:
        assert depth(limited_json(body)) == deep
    else:
        with pytest.raises(RequestError, match="deep"):
            limited_json(body)


def test_a_member_cannot_hide_its_depth_behind_its_namesake() -> None:
    hidden = "[" * 1_000 + "]" * 1_000

    with pytest.raises(RequestError):
        limited_json(f'{{"a": {hidden}, "a": 1}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        "{}".encode("utf-32-le"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        rb'{"a": "\ud800"}',
        b'{"a": 1e400}',
        b'{"a": -1e400}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 01}',
        b'{"a": 1,}',
        b'{"a": "\x00"}',
        b'{"a": "b\nc"}',
        b"{'a': 1}",
        b"{} {}",
        b"/* */ {}",
    ],
)
def test_what_is_not_json_in_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        limited_json(body)


@pytest.mark.parametrize("body", [b'{"": {"a\\u0000": 1}}', b'{"": "\\u0000"}', b'{"": 1, "": 2}'])
def test_a_place_is_told_also_below_a_name_of_nothing(body: bytes) -> None:
    # FHIR has no empty string: an OperationOutcome that names such a place by one would be none.
    with pytest.raises(RequestError) as refused:
        limited_json(body)

    assert refused.value.where == "$"
