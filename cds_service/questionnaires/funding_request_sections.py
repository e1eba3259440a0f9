"""A completed form as a person reads it: sections of questions and answers, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cds_service.questionnaires.answer_values import is_dont_know, states_absence
from cds_service.questionnaires.answer_words import answer_in_words
from cds_service.questionnaires.items import by_link_id
from cds_service.record.resources import Resource, members, text

NOT_KNOWN = "Not known"


@dataclass(frozen=True)
class Line:
    """A question with its answers in words, or a heading, which has none. ``level`` 0 stands directly in the section."""

    label: str
    answers: tuple[str, ...]
    level: int


@dataclass(frozen=True)
class Section:
    """A part of a document under its title."""

    title: str
    lines: tuple[Line, ...]


def sections(questionnaire: Resource, response: Resource) -> tuple[Section, ...]:
    """The response's top-level groups in their order, those without an answer left out.

    Items beside the groups stand together in a section of the form's title. An item that the form does not have keeps
    the text that the response gives it: nothing that was answered is lost.
    """
    questions = by_link_id(questionnaire)
    loose: list[Line] = []
    found: list[Section] = []
    for item in members(response, "item"):
        if _is_group(item, questions):
            found.append(Section(_label(item, questions), tuple(_with_answers(_lines(item, questions)))))
        else:
            loose += _with_answers(_lines_of_items([item], questions))
    title = text(questionnaire, "title") or "Answers"
    return tuple(each for each in (Section(title, tuple(loose)), *found) if each.lines)


def _lines(group: Resource, questions: dict[str, Resource]) -> Iterator[Line]:
    return _lines_of_items(members(group, "item"), questions)


def _lines_of_items(items: Iterable[Resource], questions: dict[str, Resource]) -> Iterator[Line]:
    """Without recursion: how deep a response goes is its sender's choice."""
    waiting = [(0, item) for item in items][::-1]
    while waiting:
        level, item = waiting.pop()
        answers = [*members(item, "answer")]
        yield Line(_label(item, questions), _answers(item, answers), level)
        below = [*members(item, "item"), *(each for answer in answers for each in members(answer, "item"))]
        waiting += [(level + 1, each) for each in reversed(below)]


def _answers(item: Resource, answers: Iterable[Resource]) -> tuple[str, ...]:
    said = tuple(told(answer) for answer in answers)
    return said or ((NOT_KNOWN,) if states_absence(item) else ())


def told(answer: Resource) -> str:
    """One answer in words, also that nobody knows or that there is none."""
    return (not is_dont_know(answer) and answer_in_words(answer)) or NOT_KNOWN


def _with_answers(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines that have an answer, and the headings above one that has."""
    kept: list[Line] = []
    level = -1
    for line in reversed([*lines]):
        if line.answers or line.level < level:
            kept.append(line)
            level = line.level
    return reversed(kept)


def _is_group(item: Resource, questions: dict[str, Resource]) -> bool:
    question = questions.get(text(item, "linkId") or "")
    return text(question, "type") == "group"


def _label(item: Resource, questions: dict[str, Resource]) -> str:
    link_id = text(item, "linkId") or ""
    return text(questions.get(link_id), "text") or text(item, "text") or link_id
