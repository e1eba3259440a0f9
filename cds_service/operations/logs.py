"""What a log line says: of our own messages all, since they hold ids only; of an exception its type and place.

An exception's own words, and what other libraries say, may quote a request: a name, an answer, a token. So they are
left out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from cds_service.operations.requests import CURRENT

LogFormat = Literal["text", "json"]
# Those whose messages are fixed text with numbers, addresses of our own, and ids.
_TRUSTED = ("cds_service", "uvicorn.error")
_LEFT_OUT = "(left out: it might quote a request)"


def start_logging(form: LogFormat) -> None:
    """Send every log line of the process to standard error in this form, also what a thread or a finaliser died of."""
    lines = logging.StreamHandler()
    lines.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    threading.excepthook = _thread_died
    sys.unraisablehook = _not_raised


def _thread_died(died: threading.ExceptHookArgs) -> None:
    logging.getLogger("cds_service").critical("a thread died", exc_info=died.exc_value)


def _not_raised(lost: sys.UnraisableHookArgs) -> None:
    logging.getLogger("cds_service").error("an exception that nobody could catch", exc_info=lost.exc_value)


class TextLines(logging.Formatter):
    """One line of text for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, then the rest as ``name=value``."""
        members = line_members(record)
        first = " ".join(str(members.pop(name)) for name in ("time", "level"))
        logger, message = members.pop("logger"), members.pop("message")
        rest = "".join(f" {name}={_joined(value)}" for name, value in members.items())
        return f"{first} {logger}: {message}{rest}"


class JsonLines(logging.Formatter):
    """One JSON object for each record, on a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The members of ``line_members``."""
        return json.dumps(line_members(record), ensure_ascii=False)


def line_members(record: logging.LogRecord) -> dict[str, object]:
    """All that is told of a record, by these names and no others.

    ``time level logger message``; ``request`` and ``trace`` where it is about a request; ``exception`` (types, the one
    that was raised first at the front) and ``stack`` (file:line, innermost last) where something was raised.
    """
    ids = CURRENT.get()
    exception = record.exc_info[1] if record.exc_info else None
    members: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "message": _message(record),
    }
    if ids is not None:
        members["request"] = ids.request
    if ids is not None and ids.trace is not None:
        members["trace"] = ids.trace
    if exception is not None:
        members["exception"] = [type(each).__name__ for each in _chain(exception)]
        members["stack"] = [place for each in _chain(exception) for place in _places(each)]
    return members


def _message(record: logging.LogRecord) -> str:
    if record.name not in _TRUSTED and not record.name.startswith(tuple(f"{name}." for name in _TRUSTED)):
        return f"{_LEFT_OUT} {record.filename}:{record.lineno}"
    told = _told(record)
    if told.isprintable():
        return told
    # On one line, so that nobody writes a line of their own into the log.
    return "".join(character if character.isprintable() else " " for character in told)


def _told(record: logging.LogRecord) -> str:
    """The message; uvicorn's errors are its own fixed words when an exception is an argument of it."""
    if any(isinstance(each, BaseException) for each in _arguments(record)):
        return str(record.msg)
    return record.getMessage()


def _arguments(record: logging.LogRecord) -> tuple[object, ...]:
    return record.args if isinstance(record.args, tuple) else ()


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """The exception that was raised first, then those raised while it was handled."""
    earlier = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
    if earlier is not None:
        yield from _chain(earlier)
    if isinstance(exception, BaseExceptionGroup):
        for each in exception.exceptions:
            yield from _chain(each)
    yield exception


def _places(exception: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(exception.__traceback__):
        yield f"{frame.filename}:{frame.lineno} {frame.name}"


def _joined(value: object) -> str:
    return " < ".join(reversed(value)) if isinstance(value, list) else str(value)
