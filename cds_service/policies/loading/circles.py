"""Items that enable each other in a circle: none of them could ever be asked first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cds_service.record.resources import Resource, members


def enabling_circle(questionnaire: Resource) -> tuple[str, ...]:
    """The linkIds of one circle of ``enableWhen`` and of what stands in what, its first again at its end; else none."""
    return first_circle(dict(_turns_on(questionnaire, ())))


def first_circle(turns_on: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A circle among names, each with those that it turns on: its first again at its end; none when there is none."""
    settled: set[str] = set()
    for name in turns_on:
        if found := _circle(name, turns_on, settled):
            return found
    return ()


def _circle(start: str, turns_on: Mapping[str, tuple[str, ...]], settled: set[str]) -> tuple[str, ...]:
    """A circle that can be come to from an item. Depth first; ``settled`` items lead into none."""
    path: list[str] = [start]
    waiting = [iter(turns_on[start])]
    while path:
        following = next((each for each in waiting[-1] if each not in settled), None)
        if following is None:
            settled.add(path.pop())
            waiting.pop()
        elif following in path:
            return (*path[path.index(following) :], following)
        elif following in turns_on:
            path.append(following)
            waiting.append(iter(turns_on[following]))
    return ()


def _turns_on(parent: Resource, around: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each item the linkIds that its being asked turns on."""
    for item in members(parent, "item"):
        questions = [each["question"] for each in members(item, "enableWhen") if "question" in each]
        yield item["linkId"], (*around, *questions)
        yield from _turns_on(item, (item["linkId"],))
