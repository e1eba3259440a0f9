"""What is refused before any data is seen: where it is wrong, what was found, what was expected."""

from __future__ import annotations

import pytest

from cds_service.errors import FhirPathError, FhirPathEvaluationError, FhirPathSyntaxError, FhirPathTypeError
from cds_service.fhirpath import compile_expression, parse
from cds_service.fhirpath.ast import Binary, Call, Index, Literal, Member, Special, TypeName, Unary, Variable
from tests.fhirpath.asking import ask

SYNTAX = [
    ("1 +", 3, "unexpected the end of the expression, expected a value, a path or a function"),
    ("(1", 2, "unexpected the end of the expression, expected '\\)'"),
    ("a.b)", 3, "unexpected '\\)', expected an operator or the end of the expression"),
    ("a.", 2, "expected the name of an element or function"),
    ("a..b", 2, "unexpected '.', expected the name of an element or function"),
    ("a.where(b,)", 10, "unexpected '\\)', expected a value"),
    ("a[1", 3, "expected '\\]'"),
    ("a is 1", 5, "unexpected '1', expected the name of a type"),
    ("'open", 0, "unexpected \"'\", expected a closing '"),
    ("1 /* open", 2, "expected a closing \\*/"),
    ("'a\\d'", 0, "unknown escape"),
    ("@2026-13-01", 0, "is in no calendar"),
    ("@2026-02-30", 0, "is in no calendar"),
    ("@T25:00", 0, "is in no calendar"),
    ("@x", 0, "expected a date or a time"),
    ("1 # 2", 2, "unexpected '#'"),
    ("", 0, "unexpected the end of the expression"),
    ("{1}", 1, "expected '}'"),
    ("a b", 2, "unexpected 'b', expected an operator or the end"),
    ("a.and", 2, "expected the name of an element"),
    ("% a", 0, "expected a name"),
    ("12345678901234567890123456789", 0, "a number of more than 28 characters"),
    ("(" * 200 + "1" + ")" * 200, 100, "nested too deeply, expected at most 100 levels"),
    ("a" + ".a" * 200, 200, "nested too deeply"),
    ("1" + " + 1" * 200, 398, "nested too deeply"),
    ("not(" * 200, 400, "nested too deeply"),
    ("-" * 200 + "1", 100, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "position", "message"), SYNTAX)
def test_a_syntax_error_says_where_and_what_was_expected(text: str, position: int, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError, match=message) as raised:
        parse(text)

    assert raised.value.position == position
    assert raised.value.expression == text


CONDITIONS = "%conditions.entry.resource"
STRICT = [
    ("name.gven", 5, "gven is no element of HumanName, did you mean given?"),
    ("name.given1.exists()", 5, "did you mean given?"),
    ("nme", 0, "nme is no element of Patient, did you mean name?"),
    ("contact.name.xyz", 13, "xyz is no element of HumanName, expected one of"),
    ("contact.relationshp", 8, "relationshp is no element of Patient.contact, did you mean relationship?"),
    ("deceasedBoolean", 0, "expected deceased.ofType(boolean)"),
    ("deceased.ofType(date)", 9, "date is none of the types it can have, expected one of boolean, dateTime"),
    ("name.ofType(Patiet)", 5, "unknown type Patiet, did you mean Patient?"),
    ("deceased is date", 12, "date is none of the types it can have, expected one of boolean, dateTime"),
    ("deceased as date", 12, "date is none of the types it can have, expected one of boolean, dateTime"),
    ("active is Bolean", 10, "unknown type Bolean, did you mean"),
    ("name.wher(use = 'x')", 5, "unknown function wher(), did you mean where?"),
    ("name.where()", 5, "where() has 0 arguments, expected 1"),
    ("name.exists(use, use)", 5, "exists() has 2 arguments, expected 0 to 1"),
    ("%conditons.entry", 0, "undefined variable %conditons, did you mean conditions?"),
    (f"{CONDITIONS}.code", 27, "code of Resource: narrow it first with ofType(…)"),
    (f"{CONDITIONS}.ofType(Condition).cod", 45, "did you mean code?"),
    (f"{CONDITIONS}.ofType(Condition).where(code = 'x').exists()", 56, "CodeableConcept = System.String"),
    ("children().name", 11, "narrow it first with ofType(…)"),
    ("%untyped.name", 9, "narrow it first with ofType(…)"),
    ("name.where(given)", 11, "found string, expected true or false; did you mean exists()?"),
    ("name and active", 0, "found HumanName, expected true or false; did you mean exists()?"),
    ("name.not()", 0, "found HumanName, expected true or false"),
    ("birthDate = 'x'", 10, "date = System.String: expected two values of one kind"),
    ("gender in (1 | 2)", 7, "expected two values of one kind"),
    ("birthDate + 7", 10, "expected a unit of time, as in 7 days"),
    (
        "birthDate + 6 'mo' < today()",
        12,
        "'mo' cannot be added to a date or time, expected a calendar duration",
    ),
    ("active < true", 7, "expected two values of one kind that has an order"),
    ("name.matches('a')", 0, "found HumanName, expected a string"),
    ("gender.matches('(a')", 15, "invalid regular expression"),
    ("gender.matches('a(?=b)')", 15, "invalid regular expression"),
    ("gender.memberOf('urn:other')", 16, "unknown value set urn:other, expected one that is loaded"),
    ("birthDate.memberOf('urn:vs')", 10, "memberOf() on date, expected a code, Coding or CodeableConcept"),
    ("iif(gender, 1, 2)", 4, "found code, expected true or false"),
    ("$index", 0, "$index means nothing here"),
    ("name.where($total)", 11, "$total means nothing here"),
    ("Encounter.status", 0, "Encounter is not the type of the focus, expected an element of Patient"),
    ("name.ofType('x')", 12, "unexpected expression, expected the name of a type"),
    ("descendants().first()", 14, "expected a collection that has an order"),
    ("children()[0]", 11, "expected a collection that has an order"),
    ("name.as(System.Strng)", 5, "unknown type System.Strng, did you mean String?"),
    ("birthDate.abs()", 0, "found date, expected a number"),
]


@pytest.mark.parametrize(("text", "position", "message"), STRICT)
def test_a_policy_expression_that_can_never_be_right_is_refused_with_its_place(
    text: str, position: int, message: str
) -> None:
    variables = {"conditions": "Bundle", "untyped": None}

    with pytest.raises(FhirPathTypeError) as raised:
        compile_expression(text, context="Patient", variables=variables, strict=True, value_sets={"urn:vs"})

    assert message in raised.value.message
    assert raised.value.position == position, text[raised.value.position :]


ACCEPTED = [
    "Patient.name.given",
    "deceased.ofType(boolean)",
    "(deceased as dateTime) < today()",
    "birthDate <= today() - 18 years",
    f"{CONDITIONS}.ofType(Condition).where(code.coding.where(system = 'a' and code = 'b').exists()).exists()",
    f"{CONDITIONS}.ofType(Condition).where(code.memberOf('urn:vs')).exists()",
    f"{CONDITIONS}.ofType(Condition).onset.ofType(Age) >= 40 'a'",
    f"{CONDITIONS}.id",
    f"{CONDITIONS}.ofType(Condition).subject.resolve().ofType(Patient).active",
    "gender in ('male' | 'female')",
    "name.where(use = 'official').given.first() & ' ' & name.family.first()",
    "descendants().ofType(Coding).exists(code = 'x')",
    "%untyped.ofType(Patient).active",
    "extension('urn:x').value.ofType(CodeableConcept).coding.code",
    "birthDate.extension('urn:x').exists()",
    "contact.relationship.coding.code",
    "%resource.exists()",
    "active",
    "active and active.not()",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_policies_need_is_accepted_in_strict_mode(text: str) -> None:
    variables = {"conditions": "Bundle", "untyped": None}

    compiled = compile_expression(
        text, context="Patient", variables=variables, strict=True, value_sets={"urn:vs"}
    )

    assert compiled.text == text


def test_what_is_certainly_wrong_is_refused_without_strictness_too() -> None:
    for text in ("name.given1", "valueQuantity", "%x", "name.foo()", "'a' - 'b'", "name.startsWith('a')"):
        with pytest.raises(FhirPathTypeError):
            compile_expression(text, context="Patient")


def test_an_unknown_type_is_read_as_it_comes_without_strictness() -> None:
    assert ask("whatever.there.is", {"whatever": [{"there": {"is": 1}}, {"there": None}]}) == [1]
    assert ask("name.family", {"resourceType": "Patient", "name": [{"family": "A"}]}) == ["A"]
    assert ask("name.fmily", {"resourceType": "Patient", "name": [{"family": "A"}]}) == []
    assert ask("value.value", {"valueQuantity": {"value": 1}}) == [1]


def test_only_a_context_that_is_a_type_is_taken() -> None:
    with pytest.raises(FhirPathTypeError, match="unknown type Patiet, did you mean Patient"):
        compile_expression("name", context="Patiet")


EVALUATION = [
    ("(1 | 2) + 1", 3, "found 2 items, expected at most one"),
    ("name.single()", 5, "found 2 items, expected at most one"),
    ("name.given.startsWith('A')", 5, "found 3 items, expected at most one"),
    ("(1 | 'a').aggregate($total + $this, 1)", 27, "has no meaning"),
    ("%anything.matches('(')", 18, "invalid regular expression"),
    ("resolve()", 0, "nothing to look references up in"),
    ("'x'.decode('hex')", 4, "a string that is no hex"),
]


@pytest.mark.parametrize(("text", "position", "message"), EVALUATION)
def test_an_evaluation_error_says_where_it_happened(text: str, position: int, message: str) -> None:
    focus = {"resourceType": "Patient", "name": [{"given": ["A", "B"]}, {"given": ["C"]}]}

    with pytest.raises(FhirPathError) as raised:
        ask(text, focus, anything="a")

    assert message in raised.value.message
    assert raised.value.position == position
    assert isinstance(raised.value, FhirPathEvaluationError | FhirPathTypeError)


def test_the_syntax_tree_is_what_it_says_it_is() -> None:
    assert parse("%a.b[0] is FHIR.Age") == Binary(
        "is", Index(Member(Variable("a", 0), "b", 3), Literal(0, 5), 5), TypeName("FHIR", "Age", 11), 8
    )
    assert parse("-x($this)") == Unary("-", Call(None, "x", (Special("$this", 3),), 1), 0)
    assert parse("(((1)))") == Literal(1, 3)
    assert parse("{}") == Literal(None, 0)
    assert parse("%`a-b`") == Variable("a-b", 0)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a or b and c", "a or (b and c)"),
        ("a and b implies c or d", "(a and b) implies (c or d)"),
        ("a = b and c", "(a = b) and c"),
        ("a < b = c", "(a < b) = c"),
        ("a | b < c", "(a | b) < c"),
        ("a | b is c", "a | (b is c)"),
        ("a + b is c", "(a + b) is c"),
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("-a.b()", "-(a.b())"),
        ("-a * b", "(-a) * b"),
        ("a in b = c", "(a in (b = c))"),
        ("a & b + c", "(a & b) + c"),
    ],
)
def test_operators_bind_as_the_specification_says(text: str, same: str) -> None:
    def shape(node: object) -> str:
        match node:
            case Binary(operator=operator, left=left, right=right):
                return f"({shape(left)} {operator} {shape(right)})"
            case Unary(operator=operator, operand=operand):
                return f"({operator}{shape(operand)})"
            case Call(target=target, name=name):
                return f"{shape(target)}.{name}()"
        return str(getattr(node, "name", ""))

    assert shape(parse(text)) == shape(parse(same))
