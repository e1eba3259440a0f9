"""Utility functions: FHIRPath N1 §5.9, http://hl7.org/fhirpath/N1/#utility-functions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cds_service.fhirpath.compiled import Compiled, Invocation, system
from cds_service.fhirpath.dates import Date, DateTime, Time
from cds_service.fhirpath.functions.registry import argument, criteria, function
from cds_service.fhirpath.runtime import Frame, Item

if TYPE_CHECKING:
    from cds_service.fhirpath.compiler import Compiler


def now(_compiler: Compiler, call: Invocation) -> Compiled:
    """The moment of the evaluation."""

    def one(_item: Item, frame: Frame) -> DateTime:
        return DateTime.of(frame.environment.now)

    return system(one, "DateTime", call.position, is_fixed=True)


def today(_compiler: Compiler, call: Invocation) -> Compiled:
    """The day of the evaluation, in its own zone."""

    def one(_item: Item, frame: Frame) -> Date:
        return Date.of(frame.environment.now.date())

    return system(one, "Date", call.position, is_fixed=True)


def time_of_day(_compiler: Compiler, call: Invocation) -> Compiled:
    """The time of day of the evaluation, in its own zone."""

    def one(_item: Item, frame: Frame) -> Time:
        return Time(DateTime.of(frame.environment.now).parts[3:], 3)

    return system(one, "Time", call.position, is_fixed=True)


def trace(compiler: Compiler, call: Invocation) -> Compiled:
    """The target unchanged. Nothing is written anywhere: what is traced is a patient's data."""
    compiler.string(argument(compiler, call, 0))
    if len(call.node.arguments) > 1:
        criteria(compiler, call, 1)
    return replace(call.target, position=call.position)


FUNCTIONS = {
    "now": function(now),
    "today": function(today),
    "timeOfDay": function(time_of_day),
    "trace": function(trace, 1, 2),
}
