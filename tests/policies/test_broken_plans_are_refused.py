"""A plan broken in any of these ways is refused, with its file, its path, what was found and what was expected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import PlanError, PlansError
from cds_service.policies.library import load_library
from tests.plan_folders import boolean, write_organizations, write_plan
from tests.plan_folders import rule as rule_of

PLANS = Path(__file__).parents[2] / "plans"
POLICY = "derby-mastopexy"
PLAN, FORM, CODES = (
    f"PlanDefinition-{POLICY}.json",
    f"Questionnaire-{POLICY}.json",
    "ValueSet-derby-mastopexy-orders.json",
)
CRITERIA = "https://funding-policies.example/fhir/CodeSystem/criteria"
Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Fault:
    """One way to break a plan: the file, what is done to it, and what the problem must say."""

    name: str
    file: str
    change: Change
    path: str
    says: str


def rule(plan: dict[str, Any], position: int = 0) -> dict[str, Any]:
    rules: list[dict[str, Any]] = plan["action"][0]["action"]
    return rules[position]


def also(text: str) -> Change:
    """The first rule's condition, with more to it."""

    def change(plan: dict[str, Any]) -> None:
        expression = rule(plan)["condition"][0]["expression"]
        expression["expression"] += f" and {text}"

    return change


def item(form: dict[str, Any], link_id: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [each for each in form["item"] if each["linkId"] == link_id]
    return found[0]


def proof(form: dict[str, Any]) -> dict[str, Any]:
    extensions: list[dict[str, Any]] = item(form, "breastCancer")["extension"]
    found = [each for each in extensions if each["url"].endswith("initialExpression")]
    expression: dict[str, Any] = found[0]["valueExpression"]
    return expression


def proven_by(text: str) -> Change:
    """The choice of the form, with a proof."""
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression"
    extension = {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": text}}

    def change(form: dict[str, Any]) -> None:
        item(form, "reconstructionPurpose")["extension"].append(extension)

    return change


def query(form: dict[str, Any]) -> dict[str, Any]:
    found = [
        each for each in form["extension"] if each.get("valueExpression", {}).get("name") == "conditions"
    ]
    expression: dict[str, Any] = found[0]["valueExpression"]
    return expression


FAULTS = (
    Fault(
        "an unknown member", PLAN, lambda p: p.update(colour="red"), "PlanDefinition.colour", "no such member"
    ),
    Fault("a number for a text", PLAN, lambda p: p.update(title=5), "PlanDefinition.title", "valid string"),
    Fault("no version", PLAN, lambda p: p.pop("version"), "PlanDefinition.version", "a value"),
    Fault("another id", PLAN, lambda p: p.update(id="other"), "PlanDefinition.id", "the folder's name"),
    Fault(
        "no trigger on order-sign",
        PLAN,
        lambda p: p["action"][0]["trigger"].pop(),
        "action[0].trigger",
        "order-sign",
    ),
    Fault(
        "rules that all apply",
        PLAN,
        lambda p: p["action"][0].pop("extension"),
        "action[0].extension",
        "first rule that holds wins",
    ),
    Fault(
        "no position of its own",
        PLAN,
        lambda p: p["action"][0]["action"].pop(),
        "condition",
        "the policy's own position",
    ),
    Fault(
        "two positions",
        PLAN,
        lambda p: rule(p).pop("condition"),
        "action[0].action[0].condition",
        "only the last rule has none",
    ),
    Fault(
        "an unknown outcome",
        PLAN,
        lambda p: rule(p)["code"][0]["coding"][0].update(code="refused"),
        "action[0].action[0].code",
        "not-normally-funded",
    ),
    Fault(
        "a rule without a clause",
        PLAN,
        lambda p: rule(p).pop("documentation"),
        "action[0].action[0].documentation",
        "the clause",
    ),
    Fault(
        "a summary too long",
        PLAN,
        lambda p: rule(p).update(title="x" * 140),
        "action[0].action[0].title",
        "fewer than 140",
    ),
    Fault(
        "a critical priority",
        PLAN,
        lambda p: rule(p).update(priority="stat"),
        "action[0].action[0].priority",
        "routine",
    ),
    Fault(
        "two rules of one id",
        PLAN,
        lambda p: rule(p, 1).update(id=rule(p)["id"]),
        "action[0].action.id",
        "no other rule",
    ),
    Fault(
        "a redirect to nowhere",
        PLAN,
        lambda p: rule(p)["code"][0]["coding"][0].update(code="redirect"),
        "definitionCanonical",
        "redirected to",
    ),
    Fault(
        "a condition in CQL",
        PLAN,
        lambda p: rule(p)["condition"][0]["expression"].update(language="text/cql"),
        "condition[0]",
        "text/fhirpath",
    ),
    Fault(
        "a condition that does not parse",
        PLAN,
        also(""),
        "condition[0].expression.expression",
        "at character",
    ),
    Fault(
        "a condition that reads the record",
        PLAN,
        also("Condition.exists()"),
        "condition[0].expression.expression",
        "initialExpression",
    ),
    Fault(
        "a condition on an unknown criterion",
        PLAN,
        also("%brestCancer"),
        "condition[0].expression.expression",
        "breastCancer",
    ),
    Fault(
        "a condition on an unknown option",
        PLAN,
        also("%reconstructionPurpose = 'left'"),
        "condition[0].expression.expression",
        "none of the options",
    ),
    Fault(
        "an order of yes and no",
        PLAN,
        also("%breastCancer > true"),
        "condition[0].expression.expression",
        "cannot compare",
    ),
    Fault(
        "a period that ends first",
        PLAN,
        lambda p: p["effectivePeriod"].update(end="2019"),
        "effectivePeriod.end",
        "not before",
    ),
    Fault(
        "an unknown commissioner",
        PLAN,
        lambda p: p["useContext"][0]["valueReference"]["identifier"].update(value="X9X"),
        "useContext[0].valueReference.identifier",
        "organizations.json",
    ),
    Fault(
        "no individual funding route",
        PLAN,
        lambda p: p.update(
            relatedArtifact=[
                a for a in p["relatedArtifact"] if a.get("label") != "individual-funding-request"
            ]
        ),
        "relatedArtifact",
        "every refusal has a route",
    ),
    Fault(
        "no source document",
        PLAN,
        lambda p: p.update(relatedArtifact=[a for a in p["relatedArtifact"] if a["type"] != "derived-from"]),
        "relatedArtifact",
        "the source document",
    ),
    Fault(
        "another form",
        PLAN,
        lambda p: p["action"][0].update(definitionCanonical="https://x.example/Questionnaire/y|1"),
        "definitionCanonical",
        "this folder's Questionnaire",
    ),
    Fault(
        "an unknown order value set",
        PLAN,
        lambda p: p["action"][0]["input"][0]["codeFilter"][0].update(valueSet="https://x.example/ValueSet/y"),
        "valueSet",
        "a ValueSet of this folder",
    ),
    Fault(
        "a form of another version",
        FORM,
        lambda q: q.update(version="9"),
        "Questionnaire.version",
        "the PlanDefinition's version",
    ),
    Fault(
        "a misspelt element",
        FORM,
        lambda q: proof(q).update(expression="%conditions.entry.resource.ofType(Condition).cood.exists()"),
        "valueExpression.expression",
        "cood",
    ),
    Fault(
        "an undefined variable",
        FORM,
        lambda q: proof(q).update(expression="%nothing.exists()"),
        "valueExpression.expression",
        "nothing",
    ),
    Fault(
        "an unknown value set",
        FORM,
        lambda q: proof(q).update(expression="%clinical.code.memberOf('https://x.example/ValueSet/y')"),
        "valueExpression.expression",
        "https://x.example/ValueSet/y",
    ),
    Fault(
        "a proof of the wrong type",
        FORM,
        lambda q: proof(q).update(expression="%patient.birthDate"),
        "item",
        "yields boolean",
    ),
    Fault(
        "a proof that makes none of the options",
        FORM,
        proven_by(f"%factory.Coding('{CRITERIA}', 'left')"),
        "item",
        "a Coding of one of the item's options",
    ),
    Fault(
        "a proof that makes codes of another system",
        FORM,
        proven_by("%patient.gender.select(%factory.Coding('http://snomed.info/sct', $this))"),
        "item",
        "a Coding of one of the item's options",
    ),
    Fault(
        "a proof that makes something else",
        FORM,
        proven_by(f"%factory.Identifier('{CRITERIA}', 'left')"),
        "valueExpression.expression",
        "unknown function %factory.Identifier()",
    ),
    Fault(
        "a query with another token",
        FORM,
        lambda q: query(q).update(expression="Condition?patient={{%patient.name}}"),
        "valueExpression.expression",
        "no other token",
    ),
    Fault(
        "a query for no resource type",
        FORM,
        lambda q: query(q).update(expression="Konditionen?patient={{%patient.id}}"),
        "valueExpression.expression",
        "resource type",
    ),
    Fault(
        "two items of one linkId",
        FORM,
        lambda q: q["item"].append(dict(item(q, "breastCancer"))),
        "linkId",
        "no other item",
    ),
    Fault(
        "a linkId with a hyphen",
        FORM,
        lambda q: item(q, "breastCancer").update(linkId="breast-cancer"),
        "linkId",
        "camel case",
    ),
    Fault(
        "a criterion without a clause",
        FORM,
        lambda q: item(q, "breastCancer").update(
            extension=[e for e in item(q, "breastCancer")["extension"] if "clause" not in e["url"]]
        ),
        "item",
        "naming its clause",
    ),
    Fault(
        "a criterion that no rule uses",
        FORM,
        lambda q: q["item"].append({**item(q, "oneSpell"), "linkId": "unused"}),
        "item",
        "some rule's condition uses",
    ),
    Fault(
        "a default and a proof",
        FORM,
        lambda q: item(q, "breastCancer").update(initial=[{"valueBoolean": False}]),
        "initial",
        "never both",
    ),
    Fault(
        "a default of the wrong type",
        FORM,
        lambda q: item(q, "oneSpell").update(initial=[{"valueString": "maybe"}]),
        "initial[0]",
        "neither true nor false",
    ),
    Fault(
        "an option without a code",
        FORM,
        lambda q: item(q, "reconstructionPurpose")["answerOption"][0]["valueCoding"].pop("code"),
        "answerOption[0]",
        "with code and display",
    ),
    Fault(
        "a wrong check digit",
        CODES,
        lambda v: v["expansion"]["contains"].append(
            {"system": "http://snomed.info/sct", "code": "234245001"}
        ),
        "expansion",
        "check",
    ),
    Fault(
        "an expansion that compose does not list",
        CODES,
        lambda v: v["expansion"]["contains"].append({"system": "http://snomed.info/sct", "code": "33496007"}),
        "expansion",
        "compose",
    ),
    Fault(
        "questions that open each other",
        FORM,
        lambda q: item(q, "breastCancer").update(
            enableWhen=[{"question": "reconstructionPurpose", "operator": "exists", "answerBoolean": True}]
        ),
        "Questionnaire.item",
        "one after the other",
    ),
    Fault("a wrong total", CODES, lambda v: v["expansion"].update(total=99), "expansion.total", "each once"),
    Fault("no expansion", CODES, lambda v: v.pop("expansion"), "expansion", "pinned"),
)


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A copy of the real plan, to be broken."""
    for folder in (POLICY, "ifr-request"):
        shutil.copytree(PLANS / folder, tmp_path / folder)
    shutil.copy(PLANS / "organizations.json", tmp_path)
    return tmp_path


def problems(plans: Path) -> tuple[PlanError, ...]:
    with pytest.raises(PlansError) as refused:
        load_library([plans])
    return refused.value.problems


def test_the_plan_itself_loads(plans: Path) -> None:
    assert [policy.id for policy in load_library([plans]).policies] == [POLICY]


@pytest.mark.parametrize("code", ["'both-breasts'", "%patient.gender"])
def test_a_proof_may_make_an_option_or_a_code_that_only_the_record_tells(plans: Path, code: str) -> None:
    file = plans / POLICY / FORM
    content = json.loads(file.read_text())
    proven_by(f"iif(%patient.active, %factory.Coding('{CRITERIA}', {code}))")(content)
    file.write_text(json.dumps(content))

    (policy,) = load_library([plans]).policies

    (proof,) = (each.proof for each in policy.criteria if each.link_id == "reconstructionPurpose")
    assert proof is not None
    assert proof.type == "Coding"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_broken_plan_is_refused_saying_where_and_what_was_expected(plans: Path, fault: Fault) -> None:
    file = plans / POLICY / fault.file
    content = json.loads(file.read_text())
    fault.change(content)
    file.write_text(json.dumps(content))

    found = problems(plans)

    telling = [each for each in found if fault.path in each.path and fault.says in str(each)]
    assert telling, [str(each) for each in found]
    assert telling[0].file.endswith(fault.file) or telling[0].file.endswith(FORM)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "line 1 column"),
        ('{"resourceType": "PlanDefinition", "id": "a", "id": "b"}', "'id' twice"),
        ('{"resourceType": "Patient"}', "PlanDefinition"),
        ("[]", "PlanDefinition"),
        ("\x00", "JSON"),
    ],
)
def test_a_file_that_is_no_such_resource_is_refused(plans: Path, text: str, says: str) -> None:
    (plans / POLICY / PLAN).write_text(text)

    assert says in str(problems(plans)[0])


def test_a_missing_file_is_named(plans: Path) -> None:
    (plans / POLICY / FORM).unlink()

    assert "exactly one Questionnaire" in str(problems(plans)[0])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "a folder of plan folders" in str(problems(tmp_path / "nowhere")[0])


def test_one_broken_plan_leaves_nothing_half_loaded(plans: Path) -> None:
    shutil.copytree(plans / POLICY, plans / "broken")

    assert all("broken" in problem.file for problem in problems(plans))


def test_the_same_policy_and_version_twice_is_refused(
    plans: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(plans / POLICY, other / POLICY)

    with pytest.raises(PlansError, match="two policies"):
        load_library([plans, other])


def test_a_policy_that_is_not_active_is_checked_but_never_decides(plans: Path) -> None:
    file = plans / POLICY / PLAN
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"status": "draft"}))

    assert load_library([plans]).policies == ()


def test_a_policy_whose_diagram_grows_without_end_is_refused(tmp_path: Path) -> None:
    write_organizations(tmp_path, "a")
    names = [f"{side}{number}" for side in "ab" for number in range(15)]
    # Each of the first fifteen must equal its twin fifteen places on: 2 to the power of 15 things to remember.
    condition = " and ".join(f"(%a{number} xor %b{number}).not()" for number in range(15))
    rules = [rule_of("alike", "eligible", condition), rule_of("not", "not-normally-funded")]
    write_plan(tmp_path, "large", rules, [boolean(name) for name in names])

    assert "'more than 20000 nodes'; expected simpler rules, or criteria in another order" in str(
        problems(tmp_path)[0]
    )
