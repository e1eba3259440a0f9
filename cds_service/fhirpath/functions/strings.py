"""String functions: FHIRPath N1 §5.6, http://hl7.org/fhirpath/N1/#string-manipulation.

Regular expressions are RE2's: they take time linear in the text, and know no look-around and no back-references.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import re2

from cds_service.fhirpath.compiled import Compiled, Invocation, One, plural, system
from cds_service.fhirpath.functions.registry import Function, argument, function
from cds_service.fhirpath.runtime import BadDataError, Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler

_PER_STEP = 64
"""Characters a step of the budget pays for."""
_LONGEST_PATTERN = 1000
_GROUP = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|(\d)|\$)")


def _string_function(
    build: Callable[..., Any],
    result: str,
    kinds: tuple[str, ...] = (),
    optional: int = 0,
    per_step: int = _PER_STEP,
) -> Function:
    """A function of a string and arguments; empty when one of them is. A step pays for ``per_step`` characters."""

    def compile_(compiler: Compiler, call: Invocation) -> Compiled:
        text = compiler.string(call.target)
        arguments = [argument(compiler, call, at) for at in range(len(call.node.arguments))]
        read = [_READ[kind](compiler, found) for kind, found in zip(kinds, arguments, strict=False)]

        def called(item: Item, frame: Frame) -> Any:
            found = text(item, frame)
            if found is None:
                return None
            values = [value(item, frame) for value in read]
            if None in values:
                return None
            frame.spend(1 + len(found) // per_step, call.position)
            return build(found, *values)

        found = system(compiler.guarded(called, call.position), result, call.position)
        return _paid(found, call)

    return function(compile_, len(kinds) - optional, len(kinds))


def _paid(found: Compiled, call: Invocation) -> Compiled:
    """The budget also pays for the length of what comes out."""
    if found.type != "System.String" or found.one is None:
        return found
    inner: One = found.one

    def one(item: Item, frame: Frame) -> Any:
        text = inner(item, frame)
        if text is not None:
            frame.spend(len(text) // _PER_STEP, call.position)
        return text

    return system(one, "String", call.position)


def _read_string(compiler: Compiler, found: Compiled) -> One:
    return compiler.string(found)


def _read_integer(compiler: Compiler, found: Compiled) -> One:
    return compiler.integer(found)


_READ: dict[str, Callable[[Compiler, Compiled], One]] = {"string": _read_string, "integer": _read_integer}


def substring(text: str, start: int, length: int | None = None) -> str | None:
    """From ``start``, counted from 0; empty when that is outside."""
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(0, length)]


def replaced(text: str, pattern: str, substitution: str) -> str:
    """Every occurrence; an empty pattern stands between all characters."""
    size = len(text) + (text.count(pattern) if pattern else len(text) + 1) * len(substitution)
    if size > 1_000_000:
        raise BadDataError(f"a string of {size} characters, expected at most a million")
    return text.replace(pattern, substitution)


def compiled_pattern(pattern: str) -> Any:
    """A regular expression of RE2 in which ``.`` matches a line end too; the error says why when it is none."""
    if len(pattern) > _LONGEST_PATTERN:
        raise BadDataError(
            f"a regular expression of {len(pattern)} characters, expected at most {_LONGEST_PATTERN}"
        )
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise BadDataError(f"invalid regular expression ({error}), expected one that RE2 knows") from None


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern occurs in the text."""
    return compiled_pattern(pattern).search(text) is not None


def matches_full(text: str, pattern: str) -> bool:
    """Whether the pattern is the whole text."""
    return compiled_pattern(pattern).fullmatch(text) is not None


def replace_matches(text: str, pattern: str, substitution: str) -> str:
    """Every match; ``$1`` and ``${name}`` are its groups. An empty pattern matches nothing (official suite)."""
    if not pattern:
        return text
    compiled = compiled_pattern(pattern)

    def substituted(match: Any) -> str:
        def group(reference: re.Match[str]) -> str:
            if not (reference[1] or reference[2]):
                return "$"
            try:
                return str(match.group(reference[1] or int(reference[2])) or "")
            except (IndexError, KeyError):
                raise BadDataError(f"{reference[0]} names no group of the regular expression") from None

        return _GROUP.sub(group, substitution)

    return str(compiled.sub(substituted, text))


def _checked_pattern(build: Callable[..., Any], kinds: tuple[str, ...], result: str) -> Function:
    """A literal pattern is compiled once, and refused before any data is seen when it is none."""
    # Each match is replaced by itself: that costs more than looking for it.
    per_step = 1 if result == "String" else _PER_STEP
    inner = _string_function(build, result, kinds, per_step=per_step)

    def compile_(compiler: Compiler, call: Invocation) -> Compiled:
        pattern = argument(compiler, call, 0)
        if pattern.literal is not None and type(pattern.literal.value) is str:
            try:
                compiled_pattern(pattern.literal.value)
            except BadDataError as error:
                compiler.refuse(str(error), pattern.position)
        return inner.compile(compiler, call)

    return function(compile_, len(kinds))


def encoded(text: str, format_: str) -> str | None:
    """``hex``, ``base64`` or ``urlbase64`` of the UTF-8 bytes; empty for any other format."""
    match format_:
        case "hex":
            return text.encode().hex()
        case "base64":
            return base64.b64encode(text.encode()).decode()
        case "urlbase64":
            return base64.urlsafe_b64encode(text.encode()).decode()
    return None


def decoded(text: str, format_: str) -> str | None:
    """The opposite of encoded; an error when the text is not of the format."""
    try:
        match format_:
            case "hex":
                return bytes.fromhex(text).decode()
            case "base64":
                return base64.b64decode(text, validate=True).decode()
            case "urlbase64":
                return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise BadDataError(f"a string that is no {format_}, expected one") from None
    return None


def escaped(text: str, target: str) -> str | None:
    """As the inside of an HTML text or a JSON string; empty for any other target."""
    match target:
        case "html":
            return html.escape(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
    return None


def unescaped(text: str, target: str) -> str | None:
    """The opposite of escaped."""
    match target:
        case "html":
            return html.unescape(text)
        case "json":
            return _unescaped_json(text)
    return None


def _unescaped_json(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        # A bare quotation mark is nothing that JSON would write, but the official suite reads it as itself.
        return text.replace('\\"', '"')


def split(compiler: Compiler, call: Invocation) -> Compiled:
    """The parts between the separators."""
    text, separator = compiler.string(call.target), compiler.string(argument(compiler, call, 0))

    def many(item: Item, frame: Frame) -> list[Item]:
        found, between = text(item, frame), separator(item, frame)
        if found is None or between is None:
            return []
        frame.spend(len(found), call.position)
        return found.split(between) if between else list(found)

    return plural(many, ("System.String",), call.position)


def to_chars(compiler: Compiler, call: Invocation) -> Compiled:
    """Each character by itself."""
    text = compiler.string(call.target)

    def many(item: Item, frame: Frame) -> list[Item]:
        found = text(item, frame)
        frame.spend(len(found or ""), call.position)
        return list(found or "")

    return plural(many, ("System.String",), call.position)


def join(compiler: Compiler, call: Invocation) -> Compiled:
    """All strings of the collection with the separator between them; empty of none."""
    kinds = compiler.kinds(call.target)
    if kinds and "string" not in kinds:
        compiler.refuse(f"found {compiler.names(call.target)}, expected strings", call.position)
    values = compiler.values(call.target)
    has_separator = bool(call.node.arguments)
    separator = compiler.string(argument(compiler, call, 0)) if has_separator else (lambda _item, _frame: "")

    def one(item: Item, frame: Frame) -> str | None:
        found = [value for value in values(item, frame) if value is not None]
        between = separator(item, frame)
        if not found or between is None:
            return None
        if not all(type(value) is str for value in found):
            raise compiler.failure("join() met an item that is no string, expected strings", call.position)
        frame.spend(sum(map(len, found)) // _PER_STEP + len(found), call.position)
        return str(between).join(found)

    return system(one, "String", call.position)


FUNCTIONS = {
    "indexOf": _string_function(lambda text, part: text.find(part), "Integer", ("string",)),
    "lastIndexOf": _string_function(lambda text, part: text.rfind(part), "Integer", ("string",)),
    "substring": _string_function(substring, "String", ("integer", "integer"), optional=1),
    "startsWith": _string_function(lambda text, part: text.startswith(part), "Boolean", ("string",)),
    "endsWith": _string_function(lambda text, part: text.endswith(part), "Boolean", ("string",)),
    "contains": _string_function(lambda text, part: part in text, "Boolean", ("string",)),
    "upper": _string_function(lambda text: text.upper(), "String"),
    "lower": _string_function(lambda text: text.lower(), "String"),
    "trim": _string_function(lambda text: text.strip(), "String"),
    "length": _string_function(len, "Integer"),
    "replace": _string_function(replaced, "String", ("string", "string")),
    "matches": _checked_pattern(matches, ("string",), "Boolean"),
    "matchesFull": _checked_pattern(matches_full, ("string",), "Boolean"),
    "replaceMatches": _checked_pattern(replace_matches, ("string", "string"), "String"),
    "encode": _string_function(encoded, "String", ("string",)),
    "decode": _string_function(decoded, "String", ("string",)),
    "escape": _string_function(escaped, "String", ("string",)),
    "unescape": _string_function(unescaped, "String", ("string",)),
    "split": function(split, 1),
    "toChars": function(to_chars),
    "join": function(join, 0, 1),
}
