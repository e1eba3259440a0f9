"""The software by others, fetched and built on first use into folders that git ignores."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# Its archive holds, built, all that a page needs; what it names as dependencies is for building it, and does not end.
LFORMS = "lforms@40.1.3"
LFORMS_INTEGRITY = (
    "sha512-WLruTm+BcVnafC0rSAQ3/cNqhxvclBUxyBG68aub/uha2NaK9H8ZZcEXTTuORuGzzCt0wa7fvhuieZtcDIdPzQ=="
)
OLDEST_NODE = (20, 19)
_BUNDLED = ("package-lock.json", "pages/smart-forms.mjs", "populated.mjs")


class RenderersUnavailableError(Exception):
    """What fetches or runs the software is missing from this machine; says what was looked for."""


def install() -> str:
    """Fetch and build what is not there yet; the path of Node.js. One process at a time, the others wait.

    Raises RenderersUnavailableError when Node.js or npm is missing or too old, or the registry does not answer.
    """
    node = _node()
    with (FOLDER / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _once("node_modules", lock.read(), _npm_ci)
        _once("lforms", LFORMS_INTEGRITY.encode(), _unpack_lforms)
        sources = b"".join((FOLDER / each).read_bytes() for each in _BUNDLED)
        _once("bundle", sources, lambda: _bundle(node))
    return node


def _once(folder: str, made_of: bytes, make: Callable[[], None]) -> None:
    """Make a folder unless it was made of exactly this."""
    stamp = FOLDER / folder / ".made-of"
    wanted = hashlib.sha256(made_of).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        make()
        stamp.write_text(wanted)


def _node() -> str:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise RenderersUnavailableError(
            "found no node and npm on PATH; expected Node.js 20.19 or newer with npm"
        )
    said = _run([node, "--version"], FOLDER)
    version = re.match(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_NODE:
        raise RenderersUnavailableError(f"found node {said.strip()}; expected 20.19 or newer")
    return node


def _npm_ci() -> None:
    _npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], FOLDER)


def _unpack_lforms() -> None:
    """The archive's built files, if it is the one that is pinned. Raises ValueError when it is another."""
    with tempfile.TemporaryDirectory() as folder:
        _npm(["pack", LFORMS, "--silent"], Path(folder))
        (archive,) = Path(folder).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != LFORMS_INTEGRITY:
            raise ValueError(f"{LFORMS}: found sha512-{digest}; expected {LFORMS_INTEGRITY}")
        with tarfile.open(archive) as packed:
            wanted = [each for each in packed if not each.name.endswith(".map")]
            # Older Pythons know no filters; whose content this is was checked by its digest.
            filters: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            packed.extractall(FOLDER / "lforms", members=wanted, **filters)  # noqa: S202


def _bundle(node: str) -> None:
    """Smart Forms' page with all that it imports, as one script and one style sheet."""
    command = [node, "node_modules/esbuild/bin/esbuild", "pages/smart-forms.mjs", "--bundle", "--format=esm"]
    command += ["--outfile=bundle/smart-forms.js", '--define:process.env.NODE_ENV="production"']
    command += ["--loader:.woff=dataurl", "--loader:.woff2=dataurl", "--log-level=error"]
    _run(command, FOLDER)


def _npm(arguments: Sequence[str], folder: Path) -> None:
    try:
        _run([str(shutil.which("npm")), *arguments], folder)
    except RuntimeError as problem:
        if re.search(r"ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN", str(problem)):
            raise RenderersUnavailableError(f"the package registry does not answer: {problem}") from None
        raise


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:3])}: {done.stderr[-2000:]}")
    return done.stdout
