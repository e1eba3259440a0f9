"""Medplum's FHIR router with its memory repository, on loopback: `medplum/server.mjs`, run by Node.js.

python -m tests.fhir_servers.medplum: serves the fixtures until Ctrl-C.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fhir_servers import PATIENTS, FhirServer, ServerUnavailableError
from tests.fhir_servers.processes import first_json_line_of

FOLDER = Path(__file__).with_name("medplum")
OLDEST_NODE = (20, 19)


@contextmanager
def medplum_server(
    token: str | None = "token-of-the-tests",  # noqa: S107
    delay: int = 0,
    page_size: int = 20,
    max_page_size: int = 1000,
    with_fixtures: bool = True,
    port: int = 0,
) -> Iterator[FhirServer]:
    """A server of its own, with the fixture patients in it; `delay` in ms, `port` 0 is any.

    `page_size` is what a search without `_count` gets, `max_page_size` what `_count` cannot exceed (Medplum's own
    figures). Raises ServerUnavailableError when Node.js or npm is missing or too old.
    """
    node = _node()
    _install()
    command = [
        node,
        str(FOLDER / "server.mjs"),
        "--until-stdin-closes",
        "--port",
        str(port),
        "--delay",
        str(delay),
    ]
    command += ["--page-size", str(page_size), "--max-page-size", str(max_page_size)]
    command += [] if token is None else ["--token", token]
    command += [str(path) for path in sorted(PATIENTS.glob("*.json"))] if with_fixtures else []
    with first_json_line_of(command, seconds=30) as ready:
        base_url = ready["baseUrl"]
        yield FhirServer("medplum", base_url, token, control_url=base_url.removesuffix("/fhir"))


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise ServerUnavailableError(
            "found no node and npm on PATH; expected Node.js 20.19 or newer with npm"
        )
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    version = re.match(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        raise ServerUnavailableError(f"found node {said.strip()}; expected 20.19 or newer")
    return node


def _install() -> None:
    """`npm ci` unless exactly the locked packages are there; one process at a time, the others wait."""
    lock = FOLDER / "package-lock.json"
    stamp = FOLDER / "node_modules" / ".installed-from"
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        wanted = hashlib.sha256(held.read()).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        _npm_ci()
        stamp.write_text(wanted)


def _npm_ci() -> None:
    npm = shutil.which("npm")
    command = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"npm ci in {FOLDER} failed: {done.stderr[-2000:]}")


def main() -> None:
    """Serves the fixtures on port 8090 until interrupted."""
    with medplum_server(port=8090) as server:
        print(f"{server.base_url}  Authorization: Bearer {server.token}", flush=True)
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
