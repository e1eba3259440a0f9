"""Tokens → abstract syntax, by operator precedence.

Source: FHIRPath N1 §6.8 (operator precedence) and appendix A (grammar), http://hl7.org/fhirpath/N1/#operator-precedence
"""

from __future__ import annotations

from decimal import Decimal

from cds_service.errors import FhirPathSyntaxError
from cds_service.fhirpath import ast
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.lexer import Token, tokens
from cds_service.fhirpath.quantities import CALENDAR_UNITS, Quantity

MAX_DEPTH = 100  # compiling and evaluating take a few Python frames for each level, of a thousand
MAX_DIGITS = 28

_PRECEDENCE = {
    **dict.fromkeys(("implies",), 1),
    **dict.fromkeys(("or", "xor"), 2),
    **dict.fromkeys(("and",), 3),
    **dict.fromkeys(("in", "contains"), 4),
    **dict.fromkeys(("=", "~", "!=", "!~"), 5),
    **dict.fromkeys(("<=", "<", ">", ">="), 6),
    **dict.fromkeys(("|",), 7),
    **dict.fromkeys(("is", "as"), 8),
    **dict.fromkeys(("+", "-", "&"), 9),
    **dict.fromkeys(("*", "/", "div", "mod"), 10),
}
_SIGN = 11
_INVOCATION = 12
FLAT = frozenset({"|", "and", "or"})
"""Chains of these are compiled as one list, so their length is no depth."""
_NOT_NAMES = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})

_Sized = tuple[ast.Node, int]
"""A node and how deep it is."""


def parse(text: str) -> ast.Node:
    """The abstract syntax of ``text``; FhirPathSyntaxError says where it stops making sense and what was expected."""
    return _Parser(text).whole()


class _Parser:
    """The place in the token list."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.nesting = 0

    def whole(self) -> ast.Node:
        node, _ = self.expression(0)
        if self.next.kind != "end":
            raise self.unexpected("an operator or the end of the expression")
        return node

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.next
        self.at += 1
        return token

    def is_operator(self, text: str) -> bool:
        return self.next.kind == "operator" and self.next.text == text

    def expect(self, text: str) -> None:
        if not self.is_operator(text):
            raise self.unexpected(repr(text))
        self.at += 1

    def unexpected(self, expected: str) -> FhirPathSyntaxError:
        found = "the end of the expression" if self.next.kind == "end" else repr(self.next.text)
        return FhirPathSyntaxError(f"unexpected {found}, expected {expected}", self.text, self.next.position)

    def sized(self, node: ast.Node, depth: int) -> _Sized:
        if depth > MAX_DEPTH:
            raise self.too_deep(node.position)
        return node, depth

    def too_deep(self, position: int) -> FhirPathSyntaxError:
        return FhirPathSyntaxError(
            f"nested too deeply, expected at most {MAX_DEPTH} levels", self.text, position
        )

    def expression(self, minimum: int) -> _Sized:
        """Operands and operators that bind more tightly than ``minimum``."""
        self.nesting += 1
        if self.nesting > MAX_DEPTH:
            raise self.too_deep(self.next.position)
        left = self.operand()
        while True:
            token = self.next
            if token.kind == "operator" and token.text in ".[":
                if minimum >= _INVOCATION:
                    break
                left = self.invocation(left)
                continue
            precedence = _PRECEDENCE.get(token.text, 0) if token.kind in {"operator", "identifier"} else 0
            if precedence <= minimum:
                break
            left = self.binary(left, precedence)
        self.nesting -= 1
        return left

    def binary(self, left: _Sized, precedence: int) -> _Sized:
        operator = self.take()
        right = self.type_name() if operator.text in {"is", "as"} else self.expression(precedence)
        node = ast.Binary(operator.text, left[0], right[0], operator.position)
        is_chain = (
            operator.text in FLAT and isinstance(left[0], ast.Binary) and left[0].operator == operator.text
        )
        return self.sized(node, max(left[1] + (not is_chain), right[1] + 1))

    def invocation(self, target: _Sized) -> _Sized:
        if self.take().text == "[":
            position = self.next.position
            index = self.expression(0)
            self.expect("]")
            return self.sized(ast.Index(target[0], index[0], position), max(target[1], index[1]) + 1)
        return self.named(target)

    def named(self, target: _Sized | None) -> _Sized:
        """A member, a function, or after a dot ``$this``."""
        token = self.next
        if token.kind not in {"identifier", "delimited"} or self.is_reserved(token):
            raise self.unexpected("the name of an element or function")
        self.at += 1
        node, depth = target or (None, 0)
        if not self.is_operator("("):
            return self.sized(ast.Member(node, token.text, token.position), depth + 1)
        arguments = self.arguments()
        call = ast.Call(node, token.text, tuple(argument for argument, _ in arguments), token.position)
        return self.sized(call, max([depth, *(size for _, size in arguments)]) + 1)

    @staticmethod
    def is_reserved(token: Token) -> bool:
        return token.kind == "identifier" and token.text in _NOT_NAMES

    def arguments(self) -> list[_Sized]:
        self.expect("(")
        found: list[_Sized] = []
        while not self.is_operator(")"):
            if found:
                self.expect(",")
            found.append(self.expression(0))
        self.expect(")")
        return found

    def type_name(self) -> _Sized:
        parts = [self.name_part()]
        if self.is_operator("."):
            self.at += 1
            parts.append(self.name_part())
        namespace = parts[0].text if len(parts) == 2 else None
        return ast.TypeName(namespace, parts[-1].text, parts[0].position), 1

    def name_part(self) -> Token:
        if self.next.kind not in {"identifier", "delimited"}:
            raise self.unexpected("the name of a type")
        return self.take()

    def operand(self) -> _Sized:
        token = self.next
        if token.kind == "operator":
            return self.bracketed(token)
        if token.kind in {"identifier", "delimited"} and not self.is_reserved(token):
            return self.named(None)
        if token.kind == "variable":
            return ast.Variable(self.take().text, token.position), 1
        if token.kind == "special":
            return ast.Special(self.take().text, token.position), 1
        return self.literal(token), 1

    def bracketed(self, token: Token) -> _Sized:
        """What begins with a sign or a bracket."""
        if token.text in {"+", "-"}:
            self.at += 1
            operand, depth = self.expression(_SIGN)
            return self.sized(ast.Unary(token.text, operand, token.position), depth + 1)
        if token.text == "(":
            self.at += 1
            inner = self.expression(0)
            self.expect(")")
            return inner
        if token.text == "{":
            self.at += 1
            self.expect("}")
            return ast.Literal(None, token.position), 1
        raise self.unexpected("a value, a path or a function")

    def literal(self, token: Token) -> ast.Literal:
        value: ast.LiteralValue
        match token.kind:
            case "string":
                value = token.text
            case "identifier" if token.text in {"true", "false"}:
                value = token.text == "true"
            case "number":
                return self.number(self.take())
            case "date" | "datetime" | "time":
                value = self.moment(token)
            case _:
                raise self.unexpected("a value, a path or a function")
        self.at += 1
        return ast.Literal(value, token.position)

    def number(self, token: Token) -> ast.Literal:
        """A number, or with a unit behind it a quantity (N1 §4.1.8)."""
        if len(token.text) > MAX_DIGITS:
            raise FhirPathSyntaxError(
                f"a number of more than {MAX_DIGITS} characters", self.text, token.position
            )
        unit = self.next
        if unit.kind == "string":
            self.at += 1
            return ast.Literal(Quantity(Decimal(token.text), unit.text), token.position)
        if unit.kind == "identifier" and unit.text in CALENDAR_UNITS:
            self.at += 1
            quantity = Quantity(Decimal(token.text), CALENDAR_UNITS[unit.text], is_calendar=True)
            return ast.Literal(quantity, token.position)
        value = Decimal(token.text) if "." in token.text else int(token.text)
        return ast.Literal(value, token.position)

    def moment(self, token: Token) -> Date | DateTime | Time:
        text = token.text.removeprefix("@")
        value: Date | DateTime | Time | None
        if token.kind == "date":
            value = Date.parse(text)
        elif token.kind == "time":
            value = Time.parse(text.removeprefix("T"))
        else:
            value = DateTime.parse(text.removesuffix("T"))
        if value is None:
            raise FhirPathSyntaxError(f"{token.text} is in no calendar", self.text, token.position)
        return value
