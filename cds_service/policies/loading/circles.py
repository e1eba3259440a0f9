"""Items that enable each other in a circle: none of them could ever be asked first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cds_service.record.resources import Resource, members


def enabling_circle(questionnaire: Resource) -> tuple[str, ...]:
    """The linkIds of one circle of ``enableWhen`` and of what stands in what, its first again at its end; else none."""
    turns_on = dict(_turns_on(questionnaire, ()))
    settled: set[str] = set()
    for link_id in turns_on:
        if found := _circle((link_id,), turns_on, settled):
            return found
    return ()


def _turns_on(parent: Resource, around: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each item the linkIds that its being asked turns on."""
    for item in members(parent, "item"):
        questions = [each["question"] for each in members(item, "enableWhen") if "question" in each]
        yield item["linkId"], (*around, *questions)
        yield from _turns_on(item, (item["linkId"],))


def _circle(
    path: tuple[str, ...], turns_on: Mapping[str, tuple[str, ...]], settled: set[str]
) -> tuple[str, ...]:
    for following in turns_on.get(path[-1], ()):
        if following in path:
            return (*path[path.index(following) :], following)
        if following not in settled and (found := _circle((*path, following), turns_on, settled)):
            return found
    settled.add(path[-1])
    return ()
