"""What the expressions of a form see: the launch, the answers to its queries, its variables, the response so far.

Source: https://hl7.org/fhir/uv/sdc/expressions.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service.errors import FhirPathEvaluationError, QueryNotReadError
from cds_service.fhirpath import Environment
from cds_service.policies.findings import MOST_STEPS
from cds_service.questionnaires.form import Form, FormExpression, FormItem
from cds_service.record.patient_record import NOT_SENT, QueryAnswer
from cds_service.record.resources import Resource


@dataclass(frozen=True)
class Launch:
    """What a form is opened with; a form without any context is opened with empty mappings.

    ``now`` is aware. ``subject`` is a reference. ``contexts``: launch context name → resource, or anything else that
    expressions name. ``queries``: query name → its answer. ``member_of`` (value set, system, code) raises
    UnknownValueSetError; ``options`` gives a value set's codings, None when it is not known; ``resolve`` the resource
    of a reference.
    """

    now: datetime
    subject: str | None
    contexts: Mapping[str, Any]
    queries: Mapping[str, QueryAnswer]
    member_of: Callable[[str, str | None, str], bool]
    options: Callable[[str], Sequence[Resource] | None]
    resolve: Callable[[str], Resource | None]


class Sight(Mapping[str, Any]):
    """The variables at one place of a response; those of the places around it are seen through ``outer``.

    A variable is evaluated when it is first asked for and then kept, so a Sight serves one state of the response.
    """

    def __init__(
        self,
        launch: Launch,
        outer: Mapping[str, Any],
        own: Mapping[str, Any],
        variables: Sequence[FormExpression] = (),
    ) -> None:
        self._launch = launch
        self._outer = outer
        self._values = dict(own)
        self._variables = {each.name: each for each in variables if each.name is not None}

    @classmethod
    def of_form(cls, form: Form, launch: Launch, response: Resource) -> Sight:
        """What the expressions at a form's root see."""
        own = {"resource": response, "context": response, "questionnaire": form.questionnaire}
        return cls(launch, _Given(form, launch), own, form.variables)

    def inside(self, item: FormItem, focus: Resource, **own: Any) -> Sight:
        """What the expressions of an item see, whose response item is ``focus``."""
        return Sight(self._launch, self, {"context": focus, "qitem": item.resource, **own}, item.variables)

    def results(self, expression: FormExpression) -> list[Any]:
        """What an expression yields here; one of EXPRESSION_ERRORS when it yields nothing that can be relied on."""
        if expression.refused is not None:
            raise expression.refused
        if expression.compiled is None:
            entries = self[str(expression.name)].get("entry", ())
            return [entry["resource"] for entry in entries]
        launch = self._launch
        environment = Environment(launch.now, self, launch.member_of, launch.resolve, MOST_STEPS)
        return expression.compiled.evaluate(self["context"], environment)

    def truth(self, expression: FormExpression) -> bool | None:
        """The one boolean that an expression yields, None for nothing; anything else is an error of the expression."""
        found = self.results(expression)
        if not found:
            return None
        if len(found) > 1 or not isinstance(found[0], bool):
            expected = "found something else, expected true or false"
            raise FhirPathEvaluationError(expected, expression.text, 0)
        return found[0]

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            if name not in self._variables:
                return self._outer[name]
            self._values[name] = self.results(self._variables[name])
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*self._outer, *self._values, *self._variables)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class _Given(Mapping[str, Any]):
    """The launch's names. One that the form declares and the launch leaves out was not read, which is not empty."""

    form: Form
    launch: Launch

    def __getitem__(self, name: str) -> Any:
        if name in self.form.queries:
            answer = self.launch.queries.get(name, NOT_SENT)
            if answer.not_read is not None:
                raise QueryNotReadError(name, answer.not_read)
            return answer.bundle
        found = self.launch.contexts.get(name)
        if found is None and name in self.form.contexts:
            raise QueryNotReadError(name, "not given at launch")
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((*self.form.queries, *self.launch.contexts))

    def __len__(self) -> int:
        return sum(1 for _ in self)
