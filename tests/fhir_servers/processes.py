"""A server as a child process: started, waited for until it prints its first line, ended by its pid."""

import json
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def first_json_line_of(command: Sequence[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Runs the command and gives the first line of JSON it prints; ends it on leaving.

    Its standard input stays open as long as we live: a command that watches it ends when we are killed.
    Raises RuntimeError, with what it wrote to standard error, when it ends or stays silent.
    """
    with (
        tempfile.TemporaryFile() as errors,
        # Unbuffered: the selector below sees only what is still in the pipe.
        subprocess.Popen(  # noqa: S603
            command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        try:
            yield json.loads(_first_json_line(command, process, errors, seconds))
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks the process to end; after 10 s it is killed."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()


def _first_json_line(
    command: Sequence[str], process: subprocess.Popen[bytes], errors: IO[bytes], seconds: float
) -> bytes:
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            line = process.stdout.readline()
            if not line:
                break
            if line.startswith(b"{"):
                return line
    name = Path(command[0]).name
    errors.seek(0)
    said = errors.read()[-2000:].decode(errors="replace")
    raise RuntimeError(f"{name}: found no line of JSON in {seconds} s; it said: {said}")
