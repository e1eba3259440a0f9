"""What an expression is compiled to: closures, and what is known about their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cds_service.fhirpath import ast
from cds_service.fhirpath.model import Element
from cds_service.fhirpath.runtime import Frame, Item

One = Callable[[Item, Frame], Any]
"""(focus, frame) → one item, or None for the empty collection."""
Many = Callable[[Item, Frame], list[Item]]
"""(focus, frame) → the collection; it may be the data's own list, so nobody may change it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice element that is not narrowed yet, and whose element it is."""

    parent: Compiled
    element: Element


@dataclass(frozen=True, slots=True)
class Filter:
    """What ``where`` selects from, and by which criteria: exists() can stop at the first. ``equals``: see Compiled."""

    source: Many
    criteria: One
    equals: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Membership:
    """``key.memberOf('value_set')`` of the focus, whose ``key`` is a CodeableConcept."""

    key: str
    value_set: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled expression.

    ``types``: what the items can be, None when unknown. ``is_boxed``: the items carry their types; if not, they are JSON
    of the one type in ``types``. ``one`` is there when there is at most one item; ``value`` when that item's System value
    is to be had without the detour over the item. ``is_fixed``: the same for every focus of one evaluation, and no
    variable is asked.
    """

    many: Many
    types: tuple[str, ...] | None
    is_boxed: bool
    position: int
    one: One | None = None
    value: One | None = None
    is_ordered: bool = True
    is_fixed: bool = False
    literal: ast.Literal | None = None
    choice: Choice | None = None
    filter: Filter | None = None
    key: str | None = None
    """The JSON key, when it is an element of the focus itself that occurs once."""
    equals: tuple[str, str] | None = None
    """Key and text, when it is ``key = 'text'`` of the focus."""
    membership: Membership | None = None
    """What has to hold of the focus first for it to be true: it is this, or a chain of ``and`` that begins with it."""

    @property
    def type(self) -> str | None:
        """The one type that every item has, if that is known."""
        return self.types[0] if self.types is not None and len(self.types) == 1 else None

    @property
    def is_empty(self) -> bool:
        """Whether it is the empty collection written out."""
        return self.literal is not None and self.literal.value is None


def single(one: One, types: tuple[str, ...] | None, position: int, *, is_boxed: bool = True) -> Compiled:
    """At most one item."""

    def many(item: Item, frame: Frame) -> list[Item]:
        found = one(item, frame)
        return [] if found is None else [found]

    return Compiled(many, types, is_boxed, position, one)


def system(one: One, type_: str, position: int, *, is_fixed: bool = False) -> Compiled:
    """At most one System value."""
    return replace(single(one, (f"System.{type_}",), position), value=one, is_fixed=is_fixed)


def plural(many: Many, types: tuple[str, ...] | None, position: int, *, is_boxed: bool = True) -> Compiled:
    """Any number of items."""
    return Compiled(many, types, is_boxed, position)


def focus_item(item: Item, frame: Frame) -> Item:  # noqa: ARG001 - the signature of every closure
    """``$this`` inside a function's criteria."""
    return item


def focus_collection(item: Item, frame: Frame) -> list[Item]:  # noqa: ARG001
    """``$this`` outside of them: what the whole expression is evaluated on."""
    return frame.focus


@dataclass(frozen=True, slots=True)
class Scope:
    """What ``$this``, ``$index`` and ``$total`` mean at some place of the expression."""

    this: Compiled
    has_index: bool = False
    total: Compiled | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """A function call being compiled: its syntax, its compiled target, and the scope of its arguments."""

    node: ast.Call
    target: Compiled
    scope: Scope

    @property
    def position(self) -> int:
        return self.node.position


def item_scope(target: Compiled, *, total: Compiled | None = None) -> Scope:
    """The scope of criteria that are asked of each item of ``target``."""
    this = Compiled(
        lambda item, _frame: [item], target.types, target.is_boxed, target.position, one=focus_item
    )
    return Scope(this, has_index=True, total=total)
