"""HAPI FHIR R4 JPA, the server that public sandboxes run, with an in-memory database: `hapi/`, built by Maven.

python -m tests.fhir_servers.hapi start [PORT]   build and start it, with the fixtures, and leave it running
python -m tests.fhir_servers.hapi stop           stop that one
python -m tests.fhir_servers.hapi test [ARG …]   run pytest against it (`tests/fhir_servers` unless told); stops what it started
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.fhir_servers import FhirServer, ServerUnavailableError, fixture_bundles
from tests.fhir_servers.processes import first_json_line_of

FOLDER = Path(__file__).with_name("hapi")
RUNNING = FOLDER / "target" / "running.json"
TOKEN = "token-of-the-tests"  # noqa: S105
MAIN = "fhirservers.Main"
# The first-stage compiler and one collector thread: ready in 13 s instead of 24, in 0.6 GB instead of 0.9.
JVM = [
    "-Xmx768m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
]
READY_SECONDS = 180.0


@contextmanager
def hapi_server() -> Iterator[FhirServer]:
    """A HAPI server with the fixture patients in it: the one at `HAPI_URL` (with `HAPI_TOKEN`), else the one that
    `start` left running, else one of its own (13 s, and the download before the first).

    Raises ServerUnavailableError when Java or Maven is missing.
    """
    running = _named_server() or _left_running()
    if running is not None:
        yield _with_fixtures(running)
        return
    with first_json_line_of(_command(0, "-DuntilStdinCloses=true"), READY_SECONDS) as ready:
        yield _with_fixtures(_ours(ready["baseUrl"]))


def start(port: int) -> FhirServer:
    """Builds and starts a server that stays after us; where it is and its pid are in `hapi/target/running.json`."""
    if (running := _left_running()) is not None:
        return running
    command = _command(port)
    said = FOLDER / "target" / "server.log"
    with said.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    base_url = _base_url_when_ready(process, said)
    RUNNING.write_text(json.dumps({"pid": process.pid, "baseUrl": base_url}), encoding="utf-8")
    return _with_fixtures(_ours(base_url))


def stop() -> None:
    """Ends the server that `start` left running, by its pid."""
    if _left_running() is not None:
        pid = json.loads(RUNNING.read_text(encoding="utf-8"))["pid"]
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        while _is_ours(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
    RUNNING.unlink(missing_ok=True)


def tested(arguments: list[str]) -> int:
    """Pytest's exit code against one server, shared by all its workers."""
    with hapi_server() as server:
        environment = os.environ | {"FHIR_SERVERS": "hapi", "HAPI_URL": server.base_url}
        if server.token is not None:
            environment["HAPI_TOKEN"] = server.token
        command = [sys.executable, "-m", "pytest", *(arguments or ["tests/fhir_servers"])]
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def _named_server() -> FhirServer | None:
    if "HAPI_URL" not in os.environ:
        return None
    base_url = os.environ["HAPI_URL"].rstrip("/")
    control_url = base_url.removesuffix("/fhir")
    ours = httpx.get(f"{control_url}/_log", timeout=30, trust_env=False).status_code == 200
    return FhirServer("hapi", base_url, os.environ.get("HAPI_TOKEN"), control_url if ours else None)


def _left_running() -> FhirServer | None:
    if not RUNNING.is_file():
        return None
    left = json.loads(RUNNING.read_text(encoding="utf-8"))
    return _ours(left["baseUrl"]) if _is_ours(left["pid"]) else None


def _is_ours(pid: int) -> bool:
    """Whether the process runs our server: a pid may be another program's by now."""
    try:
        return MAIN.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _ours(base_url: str) -> FhirServer:
    return FhirServer("hapi", base_url, TOKEN, control_url=base_url.removesuffix("/fhir"))


def _with_fixtures(server: FhirServer) -> FhirServer:
    """The server, loaded unless the last patient is there already."""
    bundles = list(fixture_bundles())
    with server.client() as client:
        there = client.get(f"/Patient/{bundles[-1]['entry'][0]['resource']['id']}").status_code == 200
    if not there:
        for bundle in bundles:
            server.load(bundle)
    return server


def _command(port: int, *options: str) -> list[str]:
    java, classpath = _built()
    return [java, *JVM, *options, "-cp", classpath, MAIN, str(port), "0", TOKEN]


def _built() -> tuple[str, str]:
    """Where java is, and the class path: fetched and compiled unless this very source was; others wait meanwhile."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        raise ServerUnavailableError("found no java and mvn on PATH; expected Java 17 or newer with Maven")
    target = FOLDER / "target"
    stamp = target / "built-from"
    with (FOLDER / "pom.xml").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        wanted = _source_digest()
        if not stamp.is_file() or stamp.read_text() != wanted or not all(map(os.path.isfile, _jars())):
            _compile(maven)
            stamp.write_text(wanted)
    return java, os.pathsep.join([str(target / "classes"), *_jars()])


def _jars() -> list[str]:
    """What Maven fetched into its local repository, which somebody may have emptied since."""
    return (FOLDER / "target" / "classpath.txt").read_text(encoding="utf-8").strip().split(os.pathsep)


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in [FOLDER / "pom.xml", *sorted(FOLDER.glob("src/**/*.java"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _compile(maven: str) -> None:
    command = [maven, "--batch-mode", "--quiet", "compile"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=900, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"mvn compile in {FOLDER} failed: {done.stdout[-3000:]}{done.stderr[-1000:]}")


def _base_url_when_ready(process: subprocess.Popen[bytes], said: Path) -> str:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for line in said.read_text(encoding="utf-8").splitlines():
            if line.startswith('{"baseUrl"'):
                return str(json.loads(line)["baseUrl"])
        time.sleep(0.2)
    process.terminate()
    raise RuntimeError(f"HAPI: not ready in {READY_SECONDS} s; see {said}")


def main(arguments: list[str]) -> int:
    """The three commands of the module's docstring."""
    match arguments:
        case ["start", *port]:
            server = start(int(port[0]) if port else 8091)
            print(f"{server.base_url}  Authorization: Bearer {server.token}", flush=True)
        case ["stop"]:
            stop()
        case ["test", *pytest_arguments]:
            return tested(pytest_arguments)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
