"""The image's recipe, read: no Docker engine runs in the tests."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def instructions(name: str) -> list[str]:
    """The words after each ``name`` of the Dockerfile, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", text, re.MULTILINE)


def copied() -> list[str]:
    """The paths that the image gets from the checkout."""
    return [path for line in instructions("COPY") if "--from=" not in line for path in line.split()[:-1]]


@pytest.mark.parametrize("path", sorted(set(copied())))
def test_every_path_that_the_image_copies_exists_and_is_not_ignored(path: str) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert (ROOT / path).exists()
    assert any(fnmatch(path.rstrip("/"), pattern) for pattern in kept)


def test_the_last_user_of_the_image_is_not_root() -> None:
    assert instructions("USER")[-1] not in {"0", "root"}
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "\nUSER " in last_stage


def test_the_image_listens_on_the_port_whose_readiness_it_checks() -> None:
    (port,) = instructions("EXPOSE")

    assert f":{port}/readyz" in instructions("HEALTHCHECK")[0]
    assert instructions("CMD")[-1] == '["cds-service", "serve", "--host", "0.0.0.0"]'


@pytest.mark.parametrize("script", ["setup", "serve", "check", "run"])
def test_every_script_of_ci_can_be_executed(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)
