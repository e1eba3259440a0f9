"""An order reaches the right policy, of the right funder, in the right version; or the card says why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.errors import PlansError
from cds_service.policies.library import load_library
from cds_service.settings import Settings
from tests.hook_requests import bundle, everything_read, hook_request, order
from tests.plan_folders import CPT, OURS, boolean, coverage, rule, write_organizations, write_plan

HOOK = "/cds-services/procedure-funding"
NOBODY = {"resourceType": "Patient", "id": "p1"}
YES = [rule("yes", "eligible", "%needed"), rule("no", "not-normally-funded")]
NEEDED = [boolean("needed")]
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Asks a service on the plans in ``tmp_path/plans`` about an order, and gives its cards."""
    with ExitStack() as stack:

        def asked(
            *drafts: dict[str, Any], overlay: Path | None = None, **prefetch: Any
        ) -> list[dict[str, Any]]:
            folders = (tmp_path / "plans", *((overlay,) if overlay else ()))
            settings = Settings(plans=folders, database_url=f"sqlite:///{tmp_path / 'x.db'}")
            app = create_app(settings, clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
            client = stack.enter_context(TestClient(app))
            orders = drafts or (order("19316", CPT),)
            request = hook_request(*orders, **everything_read(**{"patient": NOBODY, **prefetch}))
            answer = client.post(HOOK, json=request)
            assert answer.status_code == 200, answer.text
            cards: list[dict[str, Any]] = answer.json()["cards"]
            return cards

        yield asked


def paid_by(*payers: str) -> dict[str, Any]:
    return {"coverages": bundle(*[coverage(payer) for payer in payers])}


def policies(cards: list[dict[str, Any]]) -> list[str]:
    """The policy ids and versions that cards come from."""
    return [card["extension"]["cds-service.determination"]["policy"].rpartition("/")[2] for card in cards]


def outcomes(cards: list[dict[str, Any]]) -> list[str | None]:
    return [card["extension"]["cds-service.determination"].get("outcome") for card in cards]


def answered(policy: str, **values: bool) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": f"{OURS}/Questionnaire/{policy}",
        "subject": {"reference": "Patient/p1"},
        "authored": "2026-11-20",
        "item": [{"linkId": name, "answer": [{"valueBoolean": value}]} for name, value in values.items()],
    }


def test_policies_of_two_commissioners_on_one_code_are_told_apart(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")
    write_plan(tmp_path / "plans", "of-b", YES, NEEDED, commissioner="b")

    assert policies(ask(**paid_by("a"))) == ["of-a|1"]
    assert policies(ask(**paid_by("b"))) == ["of-b|1"]


def test_a_patient_with_two_coverages_gets_both_decisions_named(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")
    write_plan(tmp_path / "plans", "of-b", YES, NEEDED, commissioner="b")

    cards = ask(**paid_by("a", "b"))

    assert sorted(card["source"]["label"] for card in cards) == ["Payer A", "Payer B"]


def test_a_coverage_that_has_ended_pays_for_nothing(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")
    write_plan(tmp_path / "plans", "of-b", YES, NEEDED, commissioner="b")
    ended = coverage("b", status="cancelled")

    assert policies(ask(coverages=bundle(coverage("a"), ended))) == ["of-a|1"]


def test_a_payer_that_is_part_of_the_commissioner_counts(tmp_path: Path, ask: Ask) -> None:
    write_organizations(
        tmp_path / "plans", "a", "child", "grandchild", part_of={"child": "a", "grandchild": "child"}
    )
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")

    assert policies(ask(**paid_by("grandchild"))) == ["of-a|1"]


def test_a_circle_in_the_directory_ends(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b", part_of={"a": "b", "b": "a"})
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")

    assert policies(ask(**paid_by("b"))) == ["of-a|1"]


def test_the_coverage_comes_before_the_practice(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")
    write_plan(tmp_path / "plans", "of-b", YES, NEEDED, commissioner="b")
    practice = {"identifier": {"system": f"{OURS}/Id/payer", "value": "b"}}
    registered = {**NOBODY, "generalPractitioner": [practice]}

    assert policies(ask(patient=registered)) == ["of-b|1"]
    assert policies(ask(patient=registered, **paid_by("a"))) == ["of-a|1"]


def test_a_payer_contained_in_the_coverage_is_known_by_its_identifier(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")
    payer = {
        "resourceType": "Organization",
        "id": "o",
        "identifier": [{"system": f"{OURS}/Id/payer", "value": "a"}],
    }
    contained = coverage("a", contained=[payer], payor=[{"reference": "#o"}])

    assert policies(ask(coverages=bundle(contained))) == ["of-a|1"]


def test_a_patient_of_a_commissioner_without_a_policy_gets_no_card(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a", "b")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")

    assert ask(**paid_by("b")) == []


def test_a_payer_in_no_directory_is_asked_about(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, commissioner="a")

    (card,) = ask(**paid_by("stranger"))

    assert card["extension"]["cds-service.determination"]["outstanding"] == ["commissioner"]
    assert "stranger" in card["detail"]


def practices_file(folder: Path, *rows: tuple[str, str, str]) -> Path:
    """epraccur.csv with practices: code, commissioner, closing date."""
    lines = []
    for code, commissioner, closed in rows:
        columns = [""] * 27
        columns[0], columns[1], columns[11], columns[14] = (
            code,
            f"Example practice {code}",
            closed,
            commissioner,
        )
        lines.append(",".join(f'"{column}"' for column in columns))
    file = folder / "epraccur.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_ods_file_tells_a_practices_commissioner(tmp_path: Path) -> None:
    plans = Path(__file__).parents[2] / "plans"
    file = practices_file(
        tmp_path, ("Y00001", "15M", ""), ("Y00002", "99X", ""), ("Y00003", "15M", "20200101")
    )

    directory = load_library([plans], file).directory

    system = "https://fhir.nhs.uk/Id/ods-organization-code"
    icb = directory.by_identifier[system, "15M"]
    assert icb in directory.with_ancestors(directory.by_identifier[system, "Y00001"])
    assert directory.with_ancestors(directory.by_identifier[system, "Y00002"]) == ("ods-Y00002", "ods-99X")
    assert (system, "Y00003") not in directory.by_identifier


def test_an_ods_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_organizations(tmp_path / "plans", "a")
    (tmp_path / "other.csv").write_text("code,name\nY1,Practice\n")

    with pytest.raises(PlansError, match="27 columns"):
        load_library([tmp_path / "plans"], tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("authored", "version"),
    [("2024-12-31", None), ("2025-01-01", "1"), ("2025-12-31", "1"), ("2026-01-01", "2"), (None, "2")],
)
def test_each_order_is_decided_by_the_version_of_its_day(
    tmp_path: Path, ask: Ask, authored: str | None, version: str | None
) -> None:
    write_organizations(tmp_path / "plans", "a")
    url = f"{OURS}/PlanDefinition/policy"
    first, second = {"start": "2025", "end": "2025-12"}, {"start": "2026-01-01"}
    write_plan(tmp_path / "plans", "policy", YES, NEEDED, version="1", effectivePeriod=first)
    write_plan(tmp_path / "plans", "policy-2026", YES, NEEDED, version="2", url=url, effectivePeriod=second)
    dated = order("19316", CPT, **({"authoredOn": f"{authored}T09:00:00+00:00"} if authored else {}))

    assert policies(ask(dated, **paid_by("a"))) == ([f"policy|{version}"] if version else [])


def test_versions_in_force_on_the_same_day_are_refused(tmp_path: Path) -> None:
    write_organizations(tmp_path / "plans", "a")
    url = f"{OURS}/PlanDefinition/policy"
    write_plan(tmp_path / "plans", "policy", YES, NEEDED, version="1", effectivePeriod={"end": "2026-01-01"})
    write_plan(
        tmp_path / "plans",
        "policy-2",
        YES,
        NEEDED,
        version="2",
        url=url,
        effectivePeriod={"start": "2026-01-01"},
    )

    with pytest.raises(PlansError, match="a period apart from that of version 1"):
        load_library([tmp_path / "plans"])


@pytest.mark.parametrize("status", ["draft", "retired", "unknown"])
def test_a_plan_that_is_not_active_never_decides(tmp_path: Path, ask: Ask, status: str) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED, status=status)

    assert ask(**paid_by("a")) == []


def redirecting(target: str, **members: Any) -> list[dict[str, Any]]:
    """Rules that send a needed operation on to another policy."""
    sent = rule("on", "redirect", "%needed", definitionCanonical=f"{OURS}/PlanDefinition/{target}", **members)
    return [sent, rule("no", "not-normally-funded")]


def test_a_redirect_to_a_loaded_policy_is_followed_and_both_are_named(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "first", redirecting("second"), NEEDED)
    write_plan(tmp_path / "plans", "second", YES, NEEDED, code="19318")
    forms = bundle(answered("first", needed=True), answered("second", needed=True))

    (card,) = ask(**paid_by("a"), questionnaireResponses=forms)

    found = card["extension"]["cds-service.determination"]
    assert found["outcome"] == "eligible"
    assert found["policy"] == f"{OURS}/PlanDefinition/second|1"
    assert found["redirectedFrom"] == [f"{OURS}/PlanDefinition/first|1"]
    assert "Sent on by**: Policy first" in card["detail"]
    assert "§ on" in card["detail"]


def test_a_redirect_to_a_policy_that_is_not_loaded_is_a_card_that_names_it(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "first", redirecting("elsewhere", title="See policy Elsewhere"), NEEDED)

    (card,) = ask(**paid_by("a"), questionnaireResponses=bundle(answered("first", needed=True)))

    assert (outcomes([card]), card["summary"]) == (["redirect"], "See policy Elsewhere")


def test_a_circle_of_redirects_is_refused(tmp_path: Path) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "first", redirecting("second"), NEEDED)
    write_plan(tmp_path / "plans", "second", redirecting("first"), NEEDED)

    with pytest.raises(PlansError, match="no circle of redirects"):
        load_library([tmp_path / "plans"])


def advice(*conditions: str, **members: Any) -> list[dict[str, Any]]:
    """Rules that advise in these conditions and are silent otherwise."""
    given = [
        rule(f"advice-{place}", "advice", condition, **members) for place, condition in enumerate(conditions)
    ]
    return [*given, rule("silent", "not-applicable")]


def funding_outcome() -> dict[str, Any]:
    """The hidden criterion that tells an advice plan what the funding policies said."""
    system = f"{OURS}/CodeSystem/criteria"
    codes = ("eligible", "not-normally-funded", "ifr-required", "redirect", "undetermined", "none")
    proof = "%qitem.answerOption.value.ofType(Coding).where(code = %fundingOutcome)"
    return {
        **boolean("funding"),
        "type": "choice",
        "answerOption": [
            {"valueCoding": {"system": system, "code": code, "display": code}} for code in codes
        ],
        "extension": [
            *boolean("funding")["extension"],
            {
                "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression",
                "valueExpression": {"language": "text/fhirpath", "expression": proof},
            },
        ],
    }


@pytest.mark.parametrize(
    ("needed", "cards"), [(True, ["eligible", "advice"]), (False, ["not-normally-funded"]), (None, [None])]
)
def test_advice_comes_after_funding_and_sees_what_it_said(
    tmp_path: Path, ask: Ask, needed: bool | None, cards: list[str | None]
) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(
        tmp_path / "plans",
        "advising",
        advice("%funding = 'eligible'"),
        [funding_outcome()],
        commissioner=None,
    )
    write_plan(tmp_path / "plans", "funding", YES, NEEDED)
    forms = bundle() if needed is None else bundle(answered("funding", needed=needed))

    assert outcomes(ask(**paid_by("a"), questionnaireResponses=forms)) == cards


def test_national_advice_needs_no_commissioner(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(
        tmp_path / "plans", "advising", advice("%funding = 'none'"), [funding_outcome()], commissioner=None
    )

    assert outcomes(ask()) == ["advice"]


def operation(kind: str, **values: str) -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/action-type"
    return {
        "description": f"{kind} the order",
        "type": {"coding": [{"system": system, "code": kind}]},
        "dynamicValue": [
            {"path": path, "expression": {"language": "text/fhirpath", "expression": expression}}
            for path, expression in values.items()
        ],
    } | ({} if values else {"dynamicValue": []})


def suggesting(*operations: dict[str, Any]) -> list[dict[str, Any]]:
    cleaned = [{name: value for name, value in each.items() if value} for each in operations]
    return advice("%funding = 'none'", action=[{"title": "Do it differently", "action": cleaned}])


def test_a_suggested_update_is_the_whole_order_with_only_what_it_says_changed(
    tmp_path: Path, ask: Ask
) -> None:
    write_organizations(tmp_path / "plans", "a")
    rules = suggesting(operation("update", priority="'urgent'", note="%clinical.note"))
    write_plan(tmp_path / "plans", "advising", rules, [funding_outcome()], commissioner=None)
    draft = order("19316", CPT, note=[{"text": "kept"}], priority="routine")

    (card,) = ask(draft)

    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    assert (card["selectionBehavior"], suggestion["label"]) == ("at-most-one", "Do it differently")
    assert (action["type"], action["resource"]) == ("update", {**draft, "priority": "urgent"})
    assert "links" not in card


def test_a_suggestion_may_delete_the_order_and_create_another(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    rules = suggesting(operation("remove"), operation("create", priority="'asap'"))
    write_plan(tmp_path / "plans", "advising", rules, [funding_outcome()], commissioner=None)

    (card,) = ask()

    delete, create = card["suggestions"][0]["actions"]
    assert (delete["type"], delete["resourceId"]) == ("delete", "ServiceRequest/order-1")
    assert "resource" not in delete
    assert create["resource"] == {**order("19316", CPT), "priority": "asap", "id": "order-1-suggested"}


def test_a_suggestion_that_has_no_value_to_set_is_not_made(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    rules = suggesting(operation("update", performer="%clinical.performer"))
    write_plan(tmp_path / "plans", "advising", rules, [funding_outcome()], commissioner=None)

    (card,) = ask()

    assert "suggestions" not in card


def test_a_suggestion_cannot_change_whose_order_it_is(tmp_path: Path) -> None:
    write_organizations(tmp_path / "plans", "a")
    rules = suggesting(operation("update", subject="%clinical.requester"))
    write_plan(tmp_path / "plans", "advising", rules, [funding_outcome()], commissioner=None)

    with pytest.raises(PlansError, match="none of its identity"):
        load_library([tmp_path / "plans"])


def test_a_deployers_folder_replaces_files_of_a_plan(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "of-a", YES, NEEDED)
    overlay = tmp_path / "own"
    write_plan(overlay, "of-a", YES, NEEDED, code="19318")
    for kind in ("PlanDefinition", "Questionnaire"):
        (overlay / "of-a" / f"{kind}-of-a.json").unlink()
    other = order("19318", CPT)

    assert policies(ask(other, **paid_by("a"))) == []
    assert policies(ask(other, overlay=overlay, **paid_by("a"))) == ["of-a|1"]


def test_several_orders_get_a_card_each(tmp_path: Path, ask: Ask) -> None:
    write_organizations(tmp_path / "plans", "a")
    write_plan(tmp_path / "plans", "one", YES, NEEDED)
    write_plan(tmp_path / "plans", "two", YES, NEEDED, code="19318")

    cards = ask(order("19316", CPT), order("19318", CPT, id="order-2"), **paid_by("a"))

    found = [card["extension"]["cds-service.determination"]["order"] for card in cards]
    assert (policies(cards), found) == (
        ["one|1", "two|1"],
        ["ServiceRequest/order-1", "ServiceRequest/order-2"],
    )
