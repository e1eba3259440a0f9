"""``explain``: a policy as a page of text, and as a picture."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from typer.testing import CliRunner, Result

from cds_service.authoring.drawing import drawn_as_svg
from cds_service.authoring.explain import WIDTH, explained, in_cells, ways
from cds_service.authoring.layout import layout
from cds_service.cli import app
from cds_service.policies.domains import NumberDomain
from cds_service.policies.policy import Policy
from tests.authoring.small_policies import (
    FIXTURES,
    fixture,
    fixtures,
    policies,
    situations,
    values_of,
    winner,
)

POLICY = "example-tonsillectomy"
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_explain_prints_rules_questions_and_what_is_asked_first() -> None:
    result = run("explain", POLICY, "--plans", FIXTURES)

    assert result.exit_code == 0
    assert "1. seven-in-a-year → eligible  [T1, T2, T3]" in result.output
    assert "Episodes in the last year ≥ 7" in result.output
    assert "in every other case" in result.output
    assert "episodesLastYear: Episodes in the last year  [T3, T4, T5, R1, R2]" in result.output
    assert "the record may prove it (conditions); else asked" in result.output
    assert "assumed no until somebody says otherwise" in result.output
    assert "Caused by tonsillitis: no: not-normally-funded, by not-normally-funded" in result.output


def test_explain_says_which_policies_there_are() -> None:
    result = run("explain", "example-tonsilectomy", "--plans", FIXTURES)

    assert result.exit_code == 1
    assert "expected one of example-breast-reduction, example-tonsillectomy" in result.output


@pytest.mark.parametrize("policy", fixtures().policies, ids=lambda policy: policy.id)
def test_no_line_is_wider_than_a_page(policy: Policy) -> None:
    assert [line for line in explained(policy).splitlines() if len(line) > WIDTH] == []


@settings(max_examples=60)
@given(policies())
def test_in_every_situation_exactly_one_row_holds_and_names_the_rule_that_wins(policy: Policy) -> None:
    rows = ways(policy)
    values = {criterion.link_id: values_of(criterion.domain) for criterion in policy.criteria}

    for told in situations(values):
        cells = [criterion.domain.cell(told[criterion.link_id]) for criterion in policy.criteria]
        holding = [row for row in rows if all(cells[level] in among for level, among in row.cells)]
        assert [policy.rules[row.rule].id for row in holding] == [winner(policy, told).id]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((0,), "2 or fewer"),
        ((1, 2), "3 to 6"),
        ((0, 2), "2 or fewer or 5 to 6"),
        ((2, 3), "5 or more"),
        ((0, 1, 2, 3), "any number"),
    ],
)
def test_neighbouring_cells_of_a_number_are_one_range(cells: tuple[int, ...], words: str) -> None:
    domain = NumberDomain(True).cut_by([(">=", 3), (">=", 5), (">=", 7)])
    criterion = replace(fixture(POLICY).criteria[2], domain=domain)

    assert in_cells(criterion, cells) == words


def test_explain_draws_the_diagram(tmp_path: Path) -> None:
    result = run("explain", POLICY, "--plans", FIXTURES, "--svg", tmp_path / "picture.svg")

    assert result.exit_code == 0
    assert ET.parse(tmp_path / "picture.svg").getroot().get("role") == "img"  # noqa: S314  our own file


def texts(svg: str) -> list[str]:
    """The texts that a picture shows."""
    return [each.text or "" for each in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314  our own text


@settings(max_examples=60)
@given(policies())
def test_a_picture_is_xml_and_shows_every_rule_that_can_win(policy: Policy) -> None:
    svg = drawn_as_svg(policy)

    shown = texts(svg)
    for position in policy.diagram.reachable_leaves(lambda _: None):
        assert policy.rules[position].id in shown
        assert policy.rules[position].outcome.code in shown
    assert svg == drawn_as_svg(policy)


def test_a_picture_has_a_title_and_describes_itself() -> None:
    root = ET.fromstring(drawn_as_svg(fixture(POLICY)))  # noqa: S314  our own text
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")

    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert all(rule.id in str(description.text) for rule in fixture(POLICY).rules)


def test_a_picture_escapes_what_an_author_wrote_and_runs_nothing() -> None:
    policy = fixture("example-breast-reduction")
    nasty = replace(policy.criteria[0], name='<script>1</script>\x00&"', text="]]><b onload='x'>")

    svg = drawn_as_svg(replace(policy, title="<&>", criteria=(nasty, *policy.criteria[1:])))

    tags = {each.tag.removeprefix(SVG) for each in ET.fromstring(svg).iter()}  # noqa: S314  our own text
    assert tags == {"svg", "title", "desc", "rect", "g", "path", "text"}
    assert not re.search(r"href|onload=['\"]|url\(", svg.replace("&#x27;", "~"))


@settings(max_examples=60)
@given(policies())
def test_boxes_of_one_row_do_not_touch(policy: Policy) -> None:
    placed = layout(policy.diagram, 100, 200, 10)

    for number, row in enumerate(placed.rows):
        widths = [10 if placed.row_of[ref] != number else 100 if ref >= 0 else 200 for _, ref in row]
        for left, right, one, other in zip(row, row[1:], widths, widths[1:], strict=False):
            assert placed.x[right] - placed.x[left] >= (one + other) / 2 - 1e-6
