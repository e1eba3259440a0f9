"""Thousands of policies: checked in several processes, remembered, built when asked for, and found by an index."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import PlansError
from cds_service.policies.index import by_system, index_of
from cds_service.policies.library import Library, load_library
from cds_service.policies.listing import Listing, listing_of, read, written
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles, compressed, read_files
from cds_service.policies.loading.processes import MANY
from cds_service.policies.loading.shelf import BuiltPolicies
from cds_service.policies.recent import Recent
from cds_service.record.orders import Order
from tests.plan_folders import CPT, OURS, boolean, rule, settled, write_organizations, write_plan

TODAY = date(2026, 11, 22)


def order(*codes: str) -> Order:
    return Order(resource={}, reference=None, codes=tuple((CPT, code) for code in codes), authored=None)


def plan(folder: Path, name: str, code: str, commissioner: str | None = "a", **members: Any) -> None:
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    write_plan(folder, name, rules, [boolean("shown")], code, commissioner, **members)


def plan_file(folder: Path, name: str, kind: str = "PlanDefinition") -> Path:
    return folder / name / f"{kind}-{name}.json"


def edited(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    resource = json.loads(file.read_text())
    edit(resource)
    file.write_text(json.dumps(resource))


def name_of(number: int) -> str:
    return f"policy-{number:03}"


def write_many(folder: Path) -> Path:
    """As many plans as are checked in processes: three codes, two payers and national advice; one is a draft."""
    write_organizations(folder, "a", "b")
    for number in range(MANY):
        payer, starts = "ab"[number % 2], f"20{20 + number % 10}-01-01"
        plan(folder, name_of(number), f"1931{number % 3}", payer, effectivePeriod={"start": starts})
    for kind in ("PlanDefinition", "Questionnaire"):
        edited(plan_file(folder, name_of(5), kind), lambda resource: resource.update(status="draft"))
    rules = [rule("tell", "advice", "%shown"), rule("not", "not-applicable")]
    write_plan(folder, "advice", rules, [boolean("shown")], "19310", None)
    return folder


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled(write_many(tmp_path_factory.mktemp("many") / "plans"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "cds-service"


@pytest.fixture(scope="module")
def library(plans: Path, cache: Path) -> Library:
    """The plans, checked with an empty cache."""
    return load_library([plans], None, cache)


def notes(cache: Path) -> dict[Path, int]:
    """The files of the cache that say what was checked, and which writing of each it is."""
    return {file: file.stat().st_ino for file in cache.rglob("*.checked")}


# checked in processes


def test_every_active_policy_is_there_in_the_order_of_its_folder(library: Library) -> None:
    names = ["advice", *(name_of(number) for number in range(MANY) if number != 5)]
    assert [each.id for each in library.listings] == names
    assert [each.id for each in library.policies] == names
    assert len(library.policies) == len(library.questions) == MANY


def test_a_policy_built_when_asked_for_is_the_one_that_is_built_at_once(
    library: Library, plans: Path, tmp_path: Path
) -> None:
    write_organizations(tmp_path, "a", "b")
    shutil.copytree(plans / name_of(7), tmp_path / name_of(7))
    (at_once,) = load_library([tmp_path]).policies
    lazily = library.policy(at_once.canonical)
    assert lazily is not None
    for member in (
        "plan",
        "questionnaire",
        "diagram",
        "codes",
        "commissioner",
        "starts",
        "queries",
        "source",
    ):
        assert getattr(lazily, member) == getattr(at_once, member)
    assert [each.link_id for each in lazily.criteria] == ["shown"]
    assert library.questions[lazily.canonical].outstanding(()) == lazily.criteria


def test_every_broken_plan_among_many_is_named_and_none_is_loaded(tmp_path: Path) -> None:
    plans = write_many(tmp_path / "plans")
    edited(plan_file(plans, name_of(10)), lambda resource: resource.update(colour="red"))
    edited(plan_file(plans, name_of(11), "Questionnaire"), lambda resource: resource.pop("publisher"))
    value_set = plans / name_of(12) / f"ValueSet-{name_of(12)}-orders.json"
    value_set.write_text("{")
    edited(
        plan_file(plans, name_of(13)), lambda resource: resource.update(url=f"{OURS}/PlanDefinition/advice")
    )

    with pytest.raises(PlansError) as refused:
        load_library([plans])

    assert [(Path(each.file).name, each.path) for each in refused.value.problems] == [
        (f"PlanDefinition-{name_of(10)}.json", "PlanDefinition.colour"),
        (f"Questionnaire-{name_of(11)}.json", "Questionnaire.publisher"),
        (value_set.name, "$"),
        (f"PlanDefinition-{name_of(13)}.json", "PlanDefinition.version"),
    ]


def test_what_was_checked_is_decided_by_whatever_becomes_of_its_folder(tmp_path: Path) -> None:
    plans = write_many(tmp_path / "plans")
    library = load_library([plans])
    edited(
        plan_file(plans, name_of(3)), lambda resource: resource.update(title="Edited and not yet reloaded")
    )
    shutil.rmtree(plans / name_of(4))
    assert [library.policies[place].title for place in (4, 5)] == ["Policy policy-003", "Policy policy-004"]


def test_a_file_of_another_folder_laid_over_one_of_many_plans_counts(tmp_path: Path, plans: Path) -> None:
    laid_over = tmp_path / name_of(8)
    laid_over.mkdir()
    shutil.copy(plan_file(plans, name_of(8), "Questionnaire"), laid_over)
    edited(laid_over / f"Questionnaire-{name_of(8)}.json", lambda resource: resource.update(title="Reworded"))
    library = load_library([plans, tmp_path])
    assert [
        each.questionnaire["title"] for each in library.policies if "Reworded" in str(each.questionnaire)
    ] == ["Reworded"]


# remembered


def test_plans_that_were_checked_are_not_checked_again(plans: Path, library: Library, cache: Path) -> None:
    before = notes(cache)
    assert len(before) == 1
    again = load_library([plans], None, cache)
    assert notes(cache) == before
    assert again.listings == library.listings
    assert again.index == library.index
    assert (again.queries, again.digest) == (library.queries, library.digest)
    for policy, one in zip(again.policies, library.policies, strict=True):
        assert (policy.plan, policy.questionnaire, policy.codes) == (one.plan, one.questionnaire, one.codes)


def test_of_many_plans_those_that_changed_are_checked_and_the_others_are_known(tmp_path: Path) -> None:
    plans, cache = write_many(tmp_path / "plans"), tmp_path / "cache"
    load_library([plans], None, cache)
    before = notes(cache)
    edited(plan_file(plans, name_of(7)), lambda resource: resource.update(title="Another title"))
    shutil.rmtree(plans / name_of(8))
    plan(plans, "new", "19316")
    again = load_library([plans], None, cache)
    assert [each.title for each in again.listings if each.id == name_of(7)] == ["Another title"]
    assert {each.id for each in again.listings} >= {"new", name_of(9)}
    assert name_of(8) not in {each.id for each in again.listings}
    assert notes(cache).keys() == before.keys()
    assert notes(cache) != before
    assert [each.id for each in again.policies] == [each.id for each in again.listings]
    edited(plan_file(plans, name_of(7)), lambda resource: resource.update(colour="red"))
    edited(plan_file(plans, "new", "Questionnaire"), lambda resource: resource.pop("publisher"))
    with pytest.raises(PlansError) as refused:
        load_library([plans], None, cache)
    assert [each.path for each in refused.value.problems] == [
        "Questionnaire.publisher",
        "PlanDefinition.colour",
    ]
    # What is wrong is told again: only what is right was noted.
    with pytest.raises(PlansError, match=r"PlanDefinition\.colour"):
        load_library([plans], None, cache)


def test_a_form_that_was_refused_beside_many_plans_is_refused_again(tmp_path: Path) -> None:
    plans, cache = write_many(tmp_path / "plans"), tmp_path / "cache"
    write_plan(plans, "request", [rule("no", "not-normally-funded")], [boolean("shown")])
    plan_file(plans, "request").unlink()
    edited(plan_file(plans, "request", "Questionnaire"), lambda form: form["item"][0].pop("extension"))
    assert [each.id for each in load_library([plans], None, cache).forms] == ["request"]
    edited(plan_file(plans, "request", "Questionnaire"), lambda form: form.update(colour="red"))
    for _ in range(2):
        with pytest.raises(PlansError, match=r"Questionnaire\.colour"):
            load_library([plans], None, cache)


def test_a_file_laid_over_one_of_many_known_plans_makes_it_another_plan(tmp_path: Path) -> None:
    plans, over, cache = write_many(tmp_path / "plans"), tmp_path / "over", tmp_path / "cache"
    (over / name_of(8)).mkdir(parents=True)
    assert len(load_library([plans, over], None, cache).policies) == MANY
    laid_over = over / name_of(8) / f"Questionnaire-{name_of(8)}.json"
    shutil.copy(plan_file(plans, name_of(8), "Questionnaire"), laid_over)
    edited(laid_over, lambda resource: resource.update(title="Reworded"))
    for _ in range(2):
        library = load_library([plans, over], None, cache)
        assert [each.id for each in library.policies if each.questionnaire["title"] == "Reworded"] == [
            name_of(8)
        ]
    edited(laid_over, lambda resource: resource.update(colour="red"))
    with pytest.raises(PlansError) as refused:
        load_library([plans, over], None, cache)
    assert [(each.file, each.path) for each in refused.value.problems] == [
        (str(laid_over), "Questionnaire.colour")
    ]


def test_few_plans_are_remembered_too_and_as_they_become_many(tmp_path: Path) -> None:
    plans, cache = tmp_path / "plans", tmp_path / "cache"
    write_organizations(plans, "a", "b")
    plan(plans, "policy", "19316")
    first = load_library([plans], None, cache)
    before = notes(cache)
    again = load_library([plans], None, cache)
    assert len(before) == 1
    assert notes(cache) == before
    assert again.listings == first.listings
    write_many(plans)
    for _ in range(2):
        library = load_library([plans], None, cache)
        assert [each.id for each in library.policies] == [each.id for each in library.listings]
        assert first.listings[0] in library.listings


@pytest.mark.parametrize("kind", ["PlanDefinition", "Questionnaire"])
def test_a_plan_that_changed_is_checked_whole_even_when_it_is_no_longer_than_before(
    tmp_path: Path, kind: str
) -> None:
    write_organizations(tmp_path / "plans", "a")
    plan(tmp_path / "plans", "policy", "19316")
    load_library([tmp_path / "plans"], None, tmp_path / "cache")
    file = plan_file(tmp_path / "plans", "policy", kind)
    file.write_text(file.read_text().replace('"publisher"', '"publishes"'))
    for _ in range(2):
        with pytest.raises(PlansError, match=f"{kind}.publishes"):
            load_library([tmp_path / "plans"], None, tmp_path / "cache")


def test_plans_are_checked_again_when_the_commissioners_change(tmp_path: Path) -> None:
    plans = tmp_path / "plans"
    write_organizations(plans, "a")
    plan(plans, "policy", "19316")
    load_library([plans], None, tmp_path / "cache")
    before = notes(tmp_path / "cache")
    write_organizations(plans, "a", "b")
    load_library([plans], None, tmp_path / "cache")
    assert notes(tmp_path / "cache").keys() == before.keys()
    assert notes(tmp_path / "cache") != before
    write_organizations(plans, "b")
    with pytest.raises(PlansError, match="useContext"):
        load_library([plans], None, tmp_path / "cache")


def torn_notes(whole: bytes) -> list[bytes]:
    """Notes that a fault of the disk left: empty, cut off, with another byte in the first, the second, the last line."""
    start, middle = len(whole) - len(whole.partition(b"{")[2]), whole.rindex(b"}") // 2
    places = (0, start + 20, middle, len(whole) - 5)
    changed = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in places]
    return [b"", whole[:20], whole[:middle], whole[:-1], b"[]" + whole, *changed]


def test_a_torn_note_is_no_note(plans: Path, tmp_path: Path) -> None:
    """The plans are good, so what is loaded is right only when nothing of the note counts."""
    few, cache = tmp_path / "plans", tmp_path / "cache"
    write_organizations(few, "a")
    plan(few, "policy", "19316")
    load_library([few], None, cache)
    (note,) = notes(cache)
    whole = note.read_bytes()
    for torn in torn_notes(whole):
        note.write_bytes(torn)
        assert load_library([few], None, cache).listings[0].id == "policy"
        assert note.read_bytes() == whole


def test_torn_contents_are_not_built_from(tmp_path: Path) -> None:
    plans, cache = write_many(tmp_path / "plans"), tmp_path / "cache"
    first = load_library([plans], None, cache)
    (note,) = notes(cache)
    whole = note.read_bytes()
    note.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    again = load_library([plans], None, cache)
    assert [each.plan for each in again.policies] == [each.plan for each in first.policies]


def test_a_cache_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    write_organizations(tmp_path / "plans", "a")
    plan(tmp_path / "plans", "policy", "19316")
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    assert len(load_library([tmp_path / "plans"], None, cache).policies) == 1
    assert notes(cache) == {}


def test_a_note_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    plans, cache = tmp_path / "plans", tmp_path / "cache"
    write_organizations(plans, "a")
    plan(plans, "policy", "19316")
    load_library([plans], None, cache)
    (note,) = notes(cache)
    note.unlink()
    note.mkdir()
    for _ in range(2):
        assert load_library([plans], None, cache).listings[0].id == "policy"
    assert [each.name for each in note.parent.iterdir()] == [note.name]


def test_an_entry_is_read_as_it_was_written(library: Library) -> None:
    for listing in library.listings:
        assert read(json.loads(json.dumps(written(listing))), listing.folder) == listing


# built when asked for


def packed(library: Library, count: int) -> tuple[list[PackedFiles], dict[bytes, bytes]]:
    """The files of the first policies, and their contents."""
    plans = [read_files(Path(each.folder), (), Problems()) for each in library.listings[:count]]
    contents = [compressed(each, set()) for each in plans]
    return [each.packed for each in plans], {key: each for some in contents for key, each in some.items()}


def shelf(plans: Path, library: Library, kept: int) -> BuiltPolicies:
    """The first three policies, of which ``kept`` stay built."""
    files, contents = packed(library, 3)
    return BuiltPolicies(library.listings[:3], files, contents, library.directory, kept)


def test_there_is_one_object_for_a_policy_that_somebody_holds(plans: Path, library: Library) -> None:
    policies = shelf(plans, library, kept=1)
    held = policies[0]
    for place in (1, 2, 1):
        assert policies[place].id == library.listings[place].id
    assert policies[0] is held
    assert policies[-1].id == library.listings[2].id
    assert [each.id for each in policies[1:]] == [each.id for each in library.listings[1:3]]
    with pytest.raises(IndexError):
        policies[3]


def test_anything_but_the_policy_that_was_listed_is_a_bug(plans: Path, library: Library) -> None:
    files, contents = packed(library, 2)
    exchanged = BuiltPolicies(library.listings[:2], files[::-1], contents, library.directory)
    with pytest.raises(RuntimeError, match="not what was checked"):
        exchanged[0]


def test_no_content_but_that_which_was_checked_is_built_from(library: Library) -> None:
    files, contents = packed(library, 2)
    exchanged = dict(zip(contents, list(contents.values())[::-1], strict=True))
    policies = BuiltPolicies(library.listings[:2], files, exchanged, library.directory)
    with pytest.raises(RuntimeError, match=r"json is not what was checked"):
        policies[0]


def test_what_was_asked_for_last_is_kept_and_nothing_that_failed() -> None:
    recent: Recent[str, object] = Recent(2)
    first = recent.of("a", object)
    second = recent.of("b", object)
    assert recent.of("a", object) is first
    recent.of("c", object)
    assert recent.of("a", object) is first
    assert recent.of("b", object) is not second
    with pytest.raises(ZeroDivisionError):
        recent.of("d", lambda: 1 / 0)
    assert recent.of("d", lambda: "made") == "made"


# shared between policies, and never what differs


def two_plans(folder: Path, first: dict[str, Any], second: dict[str, Any]) -> Library:
    """Two plans on other codes, each with one item besides that of the usual rules and a rule of its own."""
    write_organizations(folder, "a")
    for number, own in enumerate((first, second)):
        rules = [rule("yes", "eligible", own["condition"]), rule("no", "not-normally-funded")]
        write_plan(folder, f"plan-{number}", rules, [own["item"]], f"1931{number}")
    return load_library([folder])


def test_policies_of_the_same_texts_share_their_expressions_and_their_diagram(tmp_path: Path) -> None:
    expression = {"language": "text/fhirpath", "expression": "%clinical.reasonCode.exists()"}
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression"
    item = boolean("shown")
    item["extension"].append({"url": url, "valueExpression": expression})
    own = {"condition": "%shown", "item": item}
    first, second = two_plans(tmp_path, own, own).policies
    assert first.diagram is second.diagram
    assert first.value_sets.codes.keys() != second.value_sets.codes.keys()
    assert first.criteria[0].proof is not None


@pytest.mark.parametrize("condition", ["%shown = 1", "%shown = 'true'"])
def test_a_condition_is_refused_although_one_that_looks_equal_was_drawn_before(
    tmp_path: Path, condition: str
) -> None:
    first = {"condition": "%shown = true", "item": boolean("shown")}
    with pytest.raises(PlansError, match="plan-1"):
        two_plans(tmp_path, first, {"condition": condition, "item": boolean("shown")})


def test_a_value_set_of_another_plan_is_none_of_this_one_although_the_expression_is_known(
    tmp_path: Path,
) -> None:
    text = f"%clinical.code.memberOf('{OURS}/ValueSet/plan-0-orders')"
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression"
    item = boolean("shown")
    value = {"language": "text/fhirpath", "expression": text}
    item["extension"].append({"url": url, "valueExpression": value})
    with pytest.raises(PlansError) as refused:
        two_plans(tmp_path, {"condition": "%shown", "item": item}, {"condition": "%shown", "item": item})
    assert {Path(each.file).parent.name for each in refused.value.problems} == {"plan-1"}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [({"colour": "red"}, "ValueSet.colour"), ({"expansion": None}, "ValueSet.expansion")],
    ids=["its shape", "its codes"],
)
def test_a_broken_value_set_is_named_in_every_plan_that_holds_it(
    tmp_path: Path, wrong: dict[str, Any], path: str
) -> None:
    write_organizations(tmp_path, "a")
    shared = {"resourceType": "ValueSet", "id": "shared", "url": f"{OURS}/ValueSet/shared", "status": "draft"}
    shared |= {name: value for name, value in wrong.items() if value is not None}
    for name, code in (("one", "19316"), ("two", "19318")):
        plan(tmp_path, name, code)
        (tmp_path / name / "ValueSet-shared.json").write_text(json.dumps(shared))
    with pytest.raises(PlansError) as refused:
        load_library([tmp_path])
    assert [(Path(each.file).parent.name, each.path) for each in refused.value.problems] == [
        ("one", path),
        ("two", path),
    ]


def proved(expression: str) -> dict[str, Any]:
    """The usual criterion, proved by an expression."""
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression"
    item = boolean("shown")
    item["extension"].append(
        {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": expression}}
    )
    return item


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ("%clinical.reasonCode.exist()", "item[1].extension[1].valueExpression.expression"),
        ("%clinical.reasonCodes.exists()", "item[1].extension[1].valueExpression.expression"),
        ("%clinical.reasonCode", "item[1]"),
    ],
    ids=["no such function", "no such element", "no such answer"],
)
def test_one_wrong_expression_is_named_in_a_questionnaire_that_is_another_ones_but_for_it(
    tmp_path: Path, wrong: str, path: str
) -> None:
    write_organizations(tmp_path, "a")
    right = "%clinical.reasonCode.exists()"
    rules = [rule("yes", "eligible", "%shown and %other"), rule("no", "not-normally-funded")]
    for name, expression in (("one", right), ("two", wrong), ("three", right)):
        items = [proved(right) | {"linkId": "other"}, proved(expression)]
        write_plan(tmp_path, name, rules, items)
    with pytest.raises(PlansError) as refused:
        load_library([tmp_path])
    # The condition that names the criterion is wrong with it.
    assert {Path(each.file).parent.name for each in refused.value.problems} == {"two"}
    assert refused.value.problems[0].path == f"Questionnaire.{path}"


def test_a_context_that_another_questionnaire_declares_is_none_of_this_one(tmp_path: Path) -> None:
    """The same items, the same expression, sound in every part: only what may be named differs."""
    write_organizations(tmp_path, "a")
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    for name in ("one", "two"):
        write_plan(tmp_path, name, rules, [proved("%clinical.reasonCode.exists()")])
    edited(plan_file(tmp_path, "two", "Questionnaire"), lambda each: each.pop("extension"))
    with pytest.raises(PlansError, match="clinical") as refused:
        load_library([tmp_path])
    assert {Path(each.file).parent.name for each in refused.value.problems} == {"two"}


def test_a_rule_that_is_wrong_beside_rules_of_another_plan_is_named(tmp_path: Path) -> None:
    write_organizations(tmp_path, "a")
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    for name in ("one", "two"):
        write_plan(tmp_path, name, rules, [boolean("shown")])
    edited(
        plan_file(tmp_path, "two"), lambda each: each["action"][0]["action"][1].update(colour="red", title=3)
    )
    with pytest.raises(PlansError) as refused:
        load_library([tmp_path])
    assert [(Path(each.file).parent.name, each.path) for each in refused.value.problems] == [
        ("two", "PlanDefinition.action[0].action[1].title"),
        ("two", "PlanDefinition.action[0].action[1].colour"),
    ]


def test_a_value_set_of_the_same_codes_but_one_that_is_wrong_is_named(tmp_path: Path) -> None:
    write_organizations(tmp_path, "a")
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    for name in ("one", "two"):
        write_plan(tmp_path, name, rules, [boolean("shown")])
        codes = [{"system": "http://snomed.info/sct", "code": code} for code in ("71388002", "363680008")]
        if name == "two":
            codes[1]["code"] = "363680009"
        concepts = [{"system": each["system"], "concept": [{"code": each["code"]}]} for each in codes]
        shared: dict[str, Any] = {
            "resourceType": "ValueSet",
            "id": "shared",
            "url": f"{OURS}/ValueSet/shared",
            "status": "draft",
            "compose": {"include": concepts},
            "expansion": {"timestamp": "2026-01-01", "contains": codes},
        }
        (tmp_path / name / "ValueSet-shared.json").write_text(json.dumps(shared))
    with pytest.raises(PlansError) as refused:
        load_library([tmp_path])
    assert [(Path(each.file).parent.name, each.path) for each in refused.value.problems] == [
        ("two", "ValueSet.expansion.contains[1].code")
    ]


# the index


CODES = [(CPT, "19310"), (CPT, "19311"), ("http://snomed.info/sct", "19310")]
PAYERS = ["a", "b", "c"]


def listed(number: int, commissioner: str | None) -> Listing:
    return Listing(
        folder="plans",
        id=f"p{number}",
        url=f"{OURS}/PlanDefinition/p{number % 3}",
        version=str(number),
        title="",
        commissioner=commissioner,
        period=(None, None),
        starts=None,
        ends=None,
        questionnaire_url="",
        questionnaire_title="",
        questionnaire_status="active",
        value_sets=(),
        queries=(),
        redirects=(),
        form=None,
        is_advice=False,
        is_active=True,
    )


@given(
    policies=st.lists(
        st.tuples(st.none() | st.sampled_from(PAYERS), st.frozensets(st.sampled_from(CODES))), max_size=12
    ),
    code=st.sampled_from([*CODES, (CPT, "99999")]),
    payers=st.none() | st.frozensets(st.sampled_from(PAYERS)),
)
def test_the_index_finds_what_a_search_through_all_policies_finds(
    policies: list[tuple[str | None, frozenset[tuple[str, str]]]],
    code: tuple[str, str],
    payers: frozenset[str] | None,
) -> None:
    listings = [listed(number, commissioner) for number, (commissioner, _) in enumerate(policies)]
    index = index_of(listings, [by_system(codes) for _, codes in policies])
    assert index.covering(code, payers) == [
        place
        for place, (commissioner, codes) in enumerate(policies)
        if code in codes and (payers is None or commissioner is None or commissioner in payers)
    ]
    for listing in listings:
        same = [place for place, each in enumerate(listings) if each.url == listing.url]
        assert list(index.by_url[listing.url]) == same


@pytest.mark.parametrize("payers", [None, frozenset(), frozenset("a"), frozenset("ab"), frozenset("x")])
@pytest.mark.parametrize("codes", [("19310",), ("19311", "19310"), ("99999",), ()])
def test_an_order_is_covered_by_the_policies_in_force_of_its_commissioners_funding_first(
    library: Library, payers: frozenset[str] | None, codes: tuple[str, ...]
) -> None:
    today = date(2024, 6, 1)
    expected = [
        each.canonical
        for each in library.policies
        if each.in_force(today)
        and any((CPT, code) in each.codes for code in codes)
        and (payers is None or each.commissioner is None or each.commissioner in payers)
    ]
    found = library.covering(order(*codes), today, payers)
    assert sorted(each.canonical for each in found) == sorted(expected)
    assert [each.is_advice for each in found] == sorted(each.is_advice for each in found)


def test_who_has_a_funding_policy_in_force_is_told_without_building_it(library: Library) -> None:
    assert library.commissioners_of(order("19310"), TODAY) == {"a", "b"}
    # In 2020 only the first of each ten was in force: 0, 30, 60 and 90 are those on this code.
    assert library.commissioners_of(order("19310"), date(2020, 6, 1)) == {"a"}
    assert library.commissioners_of(order("99999"), TODAY) == frozenset()


def test_what_an_order_may_read_includes_what_its_redirects_lead_to(tmp_path: Path) -> None:
    write_organizations(tmp_path, "a")
    plan(tmp_path, "target", "19318")
    query = {
        "url": "http://hl7.org/fhir/StructureDefinition/variable",
        "valueExpression": {
            "name": "measures",
            "language": "application/x-fhir-query",
            "expression": "Observation?patient={{%patient.id}}",
        },
    }
    edited(plan_file(tmp_path, "target", "Questionnaire"), lambda each: each["extension"].append(query))
    sent_on = rule("on", "redirect", "%shown", definitionCanonical=f"{OURS}/PlanDefinition/target")
    write_plan(tmp_path, "source", [sent_on, rule("no", "not-normally-funded")], [boolean("shown")], "19316")
    library = load_library([tmp_path])
    assert "measures" in library.queries_for(order("19316"), TODAY)
    assert "measures" in library.queries_for(order("19318"), TODAY)
    assert library.queries_for(order("99999"), TODAY) == {}


def test_a_policy_is_found_by_its_canonical_with_or_without_version(library: Library) -> None:
    url = f"{OURS}/PlanDefinition/{name_of(9)}"
    for reference in (url, f"{url}|1"):
        found = library.policy(reference)
        assert found is not None
        assert listing_of(found).id == name_of(9)
        assert library.policy_for(reference, TODAY) is None
        assert library.policy_for(reference, date(2029, 1, 1)) is found
    assert library.policy(f"{url}|2") is None
