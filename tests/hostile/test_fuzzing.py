"""What reads other people's bytes, fuzzed by atheris: no crash, no hang, no growth."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_service import ROOT

SECONDS = int(os.environ.get("HOSTILE_FUZZ_SECONDS", "7"))
"""How long each target is fuzzed; 300 before a release."""
MOST_GROWN_MEGABYTES = 64
SEEDS = {"hook": [ROOT / "fhir_fixtures" / "hooks"], "feedback": [], "fhirpath": []}


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", SEEDS)
def test_no_input_crashes_hangs_or_grows(target: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    folders = [str(found), *map(str, SEEDS[target])]
    # By way of a shell, which is small: a process counts as its own what the one that started it was using.
    command = [
        "/bin/sh",
        "-c",
        '"$@"; exit $?',
        "sh",
        sys.executable,
        "-m",
        "tests.hostile.fuzzing",
        target,
        str(SECONDS),
        *folders,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)  # noqa: S603

    told = done.stderr.decode(errors="replace")
    assert done.returncode == 0, told[-4_000:]
    sizes = [int(size) for size in re.findall(r"^#\d+.* rss: (\d+)Mb", told, re.MULTILINE)]
    inputs = re.search(r"number_of_executed_units: (\d+)", told)
    assert inputs is not None
    assert int(inputs[1]) > 100 * SECONDS
    assert sizes[-1] - sizes[len(sizes) // 4] < MOST_GROWN_MEGABYTES
    print(f"{target}: {inputs[1]} inputs in {SECONDS} s, {sizes[-1]} MB at the end")
