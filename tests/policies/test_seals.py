"""Plans that did not change are known without being opened; whatever changes a file is seen."""

from __future__ import annotations

import json
import mmap
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import PlansError
from cds_service.policies.library import load_library
from cds_service.policies.loading.checked_before import CheckedBefore, checked_before
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.files import PackedFiles, read_files, unopened
from cds_service.policies.loading.processes import MANY
from cds_service.policies.loading.seals import Seal, is_settled, local_devices, seal_of
from cds_service.record.commissioners import Directory
from tests.plan_folders import boolean, rule, settled, write_organizations, write_plan

SECOND = 1_000_000_000
FIRST = "policy-000"


def plan(folder: Path, name: str) -> None:
    rules = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]
    write_plan(folder, name, rules, [boolean("shown")])


def file_of(folder: Path) -> Path:
    return folder / f"PlanDefinition-{folder.name}.json"


def edited(content: bytes) -> bytes:
    """Another title, no longer and no shorter."""
    other = content.replace(b'"Policy ', b'"Edited ')
    assert (other != content, len(other)) == (True, len(content))
    return other


def with_times_of(file: Path, status: os.stat_result) -> Path:
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return file


# the ways to change a plan, each as little to be seen as it can be made


def written_in_place(folder: Path) -> None:
    file, status = file_of(folder), file_of(folder).stat()
    with file.open("r+b") as opened:
        opened.write(edited(file.read_bytes()))
    with_times_of(file, status)


def written_through_a_memory_map(folder: Path) -> None:
    file, status = file_of(folder), file_of(folder).stat()
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[:] = edited(mapped[:])
    with_times_of(file, status)


def replaced_by_another_file(folder: Path) -> None:
    file, other = file_of(folder), folder.parent / f"{folder.name}.other"
    other.write_bytes(edited(file.read_bytes()))
    with_times_of(other, file.stat()).replace(file)


def replaced_by_a_link_to_another_file(folder: Path) -> None:
    file, other = file_of(folder), folder.parent / f"{folder.name}.linked"
    other.write_bytes(edited(file.read_bytes()))
    with_times_of(other, file.stat())
    file.unlink()
    os.link(other, file)


def replaced_by_a_symbolic_link(folder: Path) -> None:
    file, other = file_of(folder), folder.parent / f"{folder.name}.pointed"
    file.rename(other)
    file.symlink_to(other)


def copied_over_with_its_times(folder: Path) -> None:
    file, other = file_of(folder), folder.parent / f"{folder.name}.copied"
    other.write_bytes(edited(file.read_bytes()))
    with_times_of(other, file.stat())
    shutil.copy2(other, file)


def exchanged_for_another_folder(folder: Path) -> None:
    other = folder.parent / f"{folder.name}.exchanged"
    shutil.copytree(folder, other)
    for file in folder.iterdir():
        content = file.read_bytes()
        (other / file.name).write_bytes(edited(content) if file == file_of(folder) else content)
        with_times_of(other / file.name, file.stat())
    folder.rename(folder.parent.parent / f"{folder.name}.before")
    other.rename(folder)


def two_files_exchanged(folder: Path) -> None:
    (asked,) = folder.glob("Questionnaire-*.json")
    aside = folder / "aside"
    file_of(folder).rename(aside)
    asked.rename(file_of(folder))
    aside.rename(asked)


def a_file_added(folder: Path) -> None:
    shutil.copy2(file_of(folder), folder / "ValueSet-added.json")


def a_file_removed(folder: Path) -> None:
    next(folder.glob("ValueSet-*.json")).unlink()


def a_file_renamed(folder: Path) -> None:
    next(folder.glob("ValueSet-*.json")).rename(folder / "ValueSet-renamed.json")


def a_folder_instead_of_a_file(folder: Path) -> None:
    next(folder.glob("ValueSet-*.json")).unlink()
    (folder / "ValueSet-folder.json").mkdir()


def cut_off(folder: Path) -> None:
    status = file_of(folder).stat()
    os.truncate(file_of(folder), status.st_size - 1)
    with_times_of(file_of(folder), status)


WAYS = (
    written_in_place,
    written_through_a_memory_map,
    replaced_by_another_file,
    replaced_by_a_link_to_another_file,
    replaced_by_a_symbolic_link,
    copied_over_with_its_times,
    exchanged_for_another_folder,
    two_files_exchanged,
    a_file_added,
    a_file_removed,
    a_file_renamed,
    a_folder_instead_of_a_file,
    cut_off,
)


def seal_when_read(folder: Path, *overlays: Path) -> Seal | None:
    return read_files(folder, overlays, Problems()).seal


def seal_now(folder: Path, *overlays: Path) -> Seal | None:
    seal, _ = unopened(folder, overlays)
    return seal


@pytest.fixture(scope="module")
def plans_of_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan for each way, in a folder of its name, none written in the last two seconds."""
    plans = tmp_path_factory.mktemp("ways")
    for way in WAYS:
        plan(plans, way.__name__)
    for name in ("unchanged", "ahead", "read", "below", "pointed"):
        plan(plans, name)
    return settled(plans)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_changes_a_plan_breaks_its_seal(way: Callable[[Path], None], plans_of_ways: Path) -> None:
    folder = plans_of_ways / way.__name__
    sealed = seal_when_read(folder)
    assert sealed is not None
    assert seal_now(folder) == sealed
    way(folder)
    assert seal_now(folder) != sealed


def test_what_is_no_file_of_the_plan_breaks_no_seal(plans_of_ways: Path) -> None:
    folder = plans_of_ways / "unchanged"
    sealed = seal_when_read(folder)
    (folder / "cases").mkdir()
    (folder / "README.md").write_text("Read me")
    assert sealed is not None
    assert seal_now(folder) == sealed
    assert unopened(folder, ())[1] == [name for name, _ in read_files(folder, (), Problems()).packed.files]


def test_a_file_that_may_still_change_within_the_tick_of_a_clock_is_not_sealed(plans_of_ways: Path) -> None:
    folder = plans_of_ways / "ahead"
    assert seal_when_read(folder) is not None
    ahead = file_of(folder).stat().st_mtime_ns + 3600 * SECOND
    os.utime(file_of(folder), ns=(ahead, ahead))
    assert seal_when_read(folder) is None


def test_a_file_that_changes_while_it_is_read_is_not_sealed(
    plans_of_ways: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = plans_of_ways / "read", os.read
    assert seal_when_read(folder) is not None

    def read_and_changed(descriptor: int, size: int) -> bytes:
        content = read(descriptor, size)
        os.utime(descriptor, ns=(0, 0))
        return content

    monkeypatch.setattr(os, "read", read_and_changed)
    assert seal_when_read(folder) is None


def status_of(device: int = 1, inode: int = 2, size: int = 3, modified: int = 4, changed: int = 5) -> Any:
    """What the file system may say of a file, times in nanoseconds."""
    members = (stat.S_IFREG, inode, device, 1, 0, 0, size, 0, 0, 0)
    return os.stat_result(members, {"st_mtime_ns": modified, "st_ctime_ns": changed})


@pytest.mark.parametrize("time", ["modified", "changed"])
def test_a_file_is_settled_two_seconds_after_both_its_times(time: str) -> None:
    read = 100 * SECOND
    assert is_settled(status_of(**{time: read - 2 * SECOND - 1}), read)
    assert not is_settled(status_of(**{time: read - 2 * SECOND}), read)
    assert not is_settled(status_of(**{time: read + SECOND}), read)


def test_each_thing_that_the_file_system_says_of_a_file_makes_another_seal() -> None:
    said = [
        status_of(),
        *(status_of(**{each: 9}) for each in ("device", "inode", "size", "modified", "changed")),
    ]
    seals = [seal_of("plan", ["file"], [each]) for each in said]
    seals += [seal_of("plan", ["other"], [status_of()]), seal_of("other", ["file"], [status_of()])]
    assert None not in seals
    assert len({each and each.digest for each in seals}) == 8


def test_files_on_several_devices_have_no_seal() -> None:
    names = ["one", "other"]
    assert seal_of("plan", names, [status_of(), status_of()]) is not None
    assert seal_of("plan", names, [status_of(), status_of(device=2)]) is None


def test_a_symbolic_link_is_never_known_without_being_opened(plans_of_ways: Path) -> None:
    folder = plans_of_ways / "pointed"
    replaced_by_a_symbolic_link(folder)
    settled(folder)
    assert seal_now(folder) is None


def test_a_file_laid_over_one_of_the_plan_breaks_its_seal_and_belongs_to_the_next(
    plans_of_ways: Path, tmp_path: Path
) -> None:
    folder, over = plans_of_ways / "below", tmp_path / "below"
    over.mkdir()
    sealed = seal_when_read(folder, over)
    assert sealed is not None
    assert seal_now(folder, over) == sealed
    os.link(file_of(folder), file_of(over))
    settled(over)
    laid_over = seal_when_read(folder, over)
    assert laid_over is not None
    assert seal_now(folder, over) == laid_over
    assert seal_now(folder) != laid_over
    assert unopened(folder, (over,))[1][0] == str(file_of(over))
    written_in_place(over)
    assert seal_now(folder, over) != laid_over


def test_an_unreadable_folder_and_an_empty_one_have_no_seal(tmp_path: Path) -> None:
    assert seal_now(tmp_path / "missing") is None
    assert seal_now(tmp_path) is None
    assert seal_when_read(tmp_path) is None


# where seals count

MOUNTS = b"""\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
28 27 254:3 / /mnt/with\\040-\\040space rw master:2 propagate_from:1 - xfs /dev/vdb rw
29 27 0:25 / /dev/shm rw - tmpfs tmpfs rw
30 27 0:40 / /plans rw - nfs4 server:/plans rw
31 27 0:41 / /image rw - overlay overlay rw,lowerdir=/a
32 27 0:42 / /bucket rw - fuse.ext4 bucket rw
33 27 8:1 / /stick rw - vfat /dev/sda1 rw
"""


def test_seals_count_on_the_file_systems_of_this_machines_kernel_alone(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS)
    assert local_devices(mounts) == {os.makedev(254, 0), os.makedev(254, 3), os.makedev(0, 25)}
    assert local_devices(tmp_path / "missing") == set()
    for odd in (b"odd\n", b"27 1 odd / / rw - ext4 /dev/vda rw\n", b"27 1 254:0 / / rw -\n"):
        mounts.write_bytes(MOUNTS + odd)
        assert local_devices(mounts) == set()


def test_a_seal_of_another_device_is_not_noted_and_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    none = checked_before(tmp_path / "cache", [tmp_path], Directory.of([]))
    here, content = CheckedBefore(none.file, none.program, devices=frozenset({1})), b"c" * 32
    files = PackedFiles(str(tmp_path / "policy"), (("PlanDefinition-policy.json", content),))
    on_one, on_other = Seal(1, "one"), Seal(2, "other")
    here.note({files.digest: (None, ())}, {content: b"packed"}, {on_one: files, on_other: files})
    noted = checked_before(tmp_path / "cache", [tmp_path], Directory.of([]))
    assert set(noted.seals) == {"one"}
    known = CheckedBefore(
        noted.file, noted.program, noted.plans, noted.shared, noted.contents, noted.seals, here.devices
    )
    assert known.sealed(on_one) == (files.digest, [content])
    assert known.sealed(Seal(2, "one")) is None
    assert known.sealed(Seal(1, "other")) is None


# starts

STARTED = """
import json, sys
from pathlib import Path
opened = []
sys.addaudithook(lambda event, told: event == "open" and opened.append(told[0]))
from cds_service.errors import PlansError
from cds_service.policies.library import load_library
plans = Path(sys.argv[1])
library = load_library([plans], None, Path(sys.argv[2]))
read = [Path(each) for each in opened if isinstance(each, str) and each.startswith(f"{plans}/")]
print(json.dumps([[each.title for each in library.listings], library.digest, sorted(each.name for each in read)]))
"""


def started(plans: Path, cache: Path) -> tuple[list[str], str, list[str]]:
    """A start: the titles of the policies, the digest, and the names of the files below the plans that it opened."""
    command = [sys.executable, "-c", STARTED, str(plans), str(cache)]
    done = subprocess.run(  # noqa: S603  our own program
        command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], timeout=120
    )
    titles, digest, opened = json.loads(done.stdout)
    return titles, digest, opened


def told(plans: Path, cache: Path | None) -> Any:
    """What is loaded, or why it is not."""
    try:
        library = load_library([plans], None, cache)
    except PlansError as error:
        return [str(each) for each in error.problems]
    return library.listings, library.digest


@pytest.fixture(scope="module")
def local_folder() -> Iterator[Path]:
    """A folder on a file system on which seals count."""
    counting = local_devices()
    for parent in (tempfile.gettempdir(), "/dev/shm"):  # noqa: S108  only where temporary files lie elsewhere
        if Path(parent).is_dir() and Path(parent).stat().st_dev in counting:
            with tempfile.TemporaryDirectory(dir=parent) as folder:
                yield Path(folder)
            return
    pytest.skip("no file system of this machine's kernel to write to")


@pytest.fixture(scope="module")
def known(local_folder: Path) -> tuple[Path, Path]:
    """Many plans, and a cache that knows all of them by their seals."""
    plans, cache = local_folder / "plans", local_folder / "cache"
    write_organizations(plans, "a")
    for number in range(MANY):
        plan(plans, f"policy-{number:03}")
    load_library([settled(plans)], None, cache)
    return plans, cache


def test_an_unchanged_start_opens_no_file_of_the_plans(known: tuple[Path, Path]) -> None:
    plans, cache = known
    titles, digest, opened = started(plans, cache)
    assert set(opened) == {"organizations.json"}
    assert titles == [f"Policy policy-{number:03}" for number in range(MANY)]
    assert digest == load_library([plans]).digest


def test_a_start_opens_what_changed_and_once_it_is_settled_nothing_again(known: tuple[Path, Path]) -> None:
    plans, cache = known
    written_in_place(plans / FIRST)
    titles, _, opened = started(plans, cache)
    assert titles[0] == f"Edited {FIRST}"
    assert {each for each in opened if each != "organizations.json"} == {
        each.name for each in (plans / FIRST).iterdir()
    }
    settled(plans)
    for _ in range(2):
        titles, _, opened = started(plans, cache)
        assert titles[0] == f"Edited {FIRST}"
    assert set(opened) == {"organizations.json"}


@pytest.mark.parametrize("place", range(1, 4))
def test_a_reload_sees_an_edit_however_soon_after_another_it_was_made(
    known: tuple[Path, Path], place: int
) -> None:
    plans, cache = known
    file = file_of(plans / f"policy-{place:03}")
    status, content = file.stat(), file.read_bytes()
    for title in (b'"Second ', b'"Third1 ', b'"Fourth ', b'"Policy '):
        with file.open("r+b") as opened:
            opened.write(content.replace(b'"Policy ', title))
            opened.truncate()
        with_times_of(file, status)
        listings = load_library([plans], None, cache).listings
        assert listings[place].title == f"{title.decode()[1:]}policy-{place:03}"


def test_a_start_with_a_cache_tells_what_one_without_tells(
    local_folder: Path, known: tuple[Path, Path]
) -> None:
    plans, cache = (local_folder / name for name in ("own-plans", "own-cache"))
    shutil.copytree(known[0], plans)
    load_library([settled(plans)], None, cache)
    before = told(plans, cache)
    exchanged_for_another_folder(plans / "policy-007")
    replaced_by_another_file(plans / "policy-008")
    assert told(plans, cache) == told(plans, None) != before
    a_file_removed(plans / "policy-009")
    assert told(plans, cache) == told(plans, None)
    assert "policy-009" in told(plans, cache)[0]


def test_a_link_to_a_plans_folder_that_leads_elsewhere_is_seen(local_folder: Path) -> None:
    for name in ("one", "other"):
        write_organizations(local_folder / name, "a")
        for number in range(MANY):
            plan(local_folder / name, f"policy-{number:03}")
    written_in_place(local_folder / "other" / FIRST)
    settled(local_folder / "one")
    settled(local_folder / "other")
    linked, cache = local_folder / "linked", local_folder / "linked-cache"
    titles = []
    for name in ("one", "one", "other", "other"):
        linked.unlink(missing_ok=True)
        linked.symlink_to(name)
        titles.append(load_library([linked], None, cache).listings[0].title)
    assert titles == [f"Policy {FIRST}", f"Policy {FIRST}", f"Edited {FIRST}", f"Edited {FIRST}"]
