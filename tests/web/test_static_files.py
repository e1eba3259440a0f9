"""What pages load: ours alone, small, addressed by content, and built from what is checked in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.metadata import metadata
from pathlib import Path

import pytest

from cds_service.web.static_files import static_file, static_url
from tests.web.sample_pages import ROOT, every_page

WEB = ROOT / "cds_service" / "web"
FRONTEND = WEB / "frontend"


def css() -> str:
    """The style sheet."""
    found = static_file("nhsuk.css")
    assert found is not None
    return found.content.decode()


def test_a_file_is_addressed_by_its_content() -> None:
    found = static_file("nhsuk.css")

    assert found is not None
    assert static_url("nhsuk.css") == f"/static/nhsuk.css?v={found.etag.strip(chr(34))}"
    assert (found.media_type, static_file("../pages.py"), static_file("nothing.css")) == (
        "text/css; charset=utf-8",
        None,
        None,
    )


def test_the_style_sheet_loads_nothing_and_carries_no_typeface_of_the_nhs() -> None:
    assert "url(" not in css()
    assert "@import" not in css()
    assert "@font-face" not in css()
    assert "Frutiger" not in css()


def test_the_licence_of_what_was_built_in_is_kept() -> None:
    licence = static_file("LICENSE-nhsuk-frontend.txt")

    assert licence is not None
    assert b"MIT License" in licence.content
    assert "LICENSE-nhsuk-frontend.txt" in css()[:200]


def test_a_whole_form_with_all_that_it_loads_is_under_a_hundred_kilobytes() -> None:
    loads = [static_file("nhsuk.css"), static_file("form.js")]
    weight = len(every_page()["whole form"].encode()) + sum(len(each.content) for each in loads if each)

    assert weight < 100_000
    assert len(static_file("form.js").content) < 4_000  # type: ignore[union-attr]


@pytest.mark.parametrize("template", sorted((WEB / "templates").rglob("*.html")), ids=lambda path: path.name)
def test_every_nhsuk_class_that_a_template_names_is_in_the_style_sheet(template: Path) -> None:
    named = set(re.findall(r"\b(?:nhsuk|app)-[a-z][a-z0-9_-]*", template.read_text()))
    sheets = css() + "".join(each.read_text() for each in (WEB / "static").glob("*.css"))
    styled = set(re.findall(r"\.((?:nhsuk|app)-[A-Za-z0-9_-]+)", sheets))

    # What ends in a hyphen is put together with what comes in.
    assert {name for name in named - styled if not name.endswith("-")} == set()


def test_the_macros_are_those_of_the_version_that_the_style_sheet_is_built_from() -> None:
    """The table of versions in the macros' own README."""
    readme = metadata("nhsuk-frontend-jinja").json["description"]
    versions = dict(re.findall(r"\| ([0-9.]+) \| ([0-9.]+) \|", str(readme)))

    assert versions["10.6.1"] == metadata("nhsuk-frontend-jinja")["Version"]
    assert '"nhsuk-frontend": "10.6.1"' in (FRONTEND / "package.json").read_text()


@pytest.mark.skipif(
    not os.environ.get("REBUILD_STYLES"), reason="set REBUILD_STYLES to fetch NHS.UK frontend and build again"
)
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm")
def test_building_the_style_sheet_again_gives_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run(  # noqa: S603  our own script
        [str(FRONTEND / "build.sh"), str(tmp_path)], check=True, capture_output=True
    )

    assert (tmp_path / "nhsuk.css").read_bytes() == css().encode()
