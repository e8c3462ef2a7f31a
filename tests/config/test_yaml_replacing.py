"""Writing a YAML file: the old one or the new one, whatever happens."""

import fcntl
import os
import random
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from newsletter.errors import BusyError, ConfigError, NewsletterError
from newsletter.yamlfile import append_item, editing, remove_item, replace

KILLS = 40


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "subscribers.yaml"
    path.write_text("# people\n- a@example.com\n- b@example.com\n")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def add_while(path: Path, meanwhile: Callable[[], object], *, create: bool = False) -> None:
    """Add somebody, with something else happening before the edit is done."""
    with editing(path, create=create) as draft:
        draft.append("c@example.com")
        meanwhile()


def test_items_come_and_go_by_place(people: Path) -> None:
    append_item(people, "c@example.com")
    remove_item(people, 0)

    assert "# people\n- b@example.com\n- c@example.com\n" == people.read_text()


def test_a_new_file_has_the_mode_of_the_old_one_and_nothing_is_left_lying_about(people: Path) -> None:
    people.chmod(0o640)
    (people.parent / ".subscribers.yaml.abc.new").write_text("left by a run that was killed")

    append_item(people, "c@example.com")

    assert 0o640 == stat.S_IMODE(people.stat().st_mode)
    assert ["subscribers.yaml"] == names(people.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_keeps_its_owner(people: Path) -> None:
    os.chown(people, 12345, 54321)

    append_item(people, "c@example.com")

    assert (12345, 54321) == (people.stat().st_uid, people.stat().st_gid)


def test_a_link_stays_a_link_and_the_file_behind_it_changes(people: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "list.yaml"
    link.symlink_to("../subscribers.yaml")

    append_item(link, "c@example.com")

    assert link.is_symlink()
    assert "- c@example.com\n" in people.read_text()


def test_a_byte_order_mark_stays(people: Path) -> None:
    people.write_bytes(b"\xef\xbb\xbf- a@example.com\r\n")

    append_item(people, "c@example.com")

    assert b"\xef\xbb\xbf- a@example.com\r\n- c@example.com\r\n" == people.read_bytes()


def test_an_edit_that_fails_half_way_writes_nothing(people: Path) -> None:
    before = people.read_bytes()
    with pytest.raises(ZeroDivisionError):
        add_while(people, lambda: 1 / 0)

    assert before == people.read_bytes()
    assert ["subscribers.yaml"] == names(people.parent)


def test_a_file_that_somebody_saves_meanwhile_is_not_overwritten(people: Path) -> None:
    with pytest.raises(ConfigError, match="was changed by someone else") as caught:
        add_while(people, lambda: people.write_text("- saved in an editor\n"))

    assert "- saved in an editor\n" == people.read_text()
    assert "type the command again" == caught.value.hint
    assert ["subscribers.yaml"] == names(people.parent)


def test_a_list_is_begun_for_its_owner_alone_and_not_over_one_that_appeared(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    with editing(path, create=True) as draft:
        draft.append("a@example.com")
    with pytest.raises(ConfigError, match="no such file"):
        append_item(tmp_path / "other.yaml", "a@example.com")
    with pytest.raises(ConfigError, match="was changed"):
        add_while(tmp_path / "third.yaml", lambda: (tmp_path / "third.yaml").write_text("- x\n"), create=True)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert "- a@example.com\n" == path.read_text()


def test_a_broken_file_is_named_with_its_line(people: Path) -> None:
    people.write_text("- a\n- [b\n")

    with pytest.raises(ConfigError, match=r"subscribers\.yaml:3: a comma or the closing \] is missing"):
        append_item(people, "x")


def test_a_file_that_is_not_utf8_is_named_with_its_line(people: Path) -> None:
    people.write_bytes(b"- a\n- caf\xe9\n")

    with pytest.raises(ConfigError, match=r"subscribers\.yaml:2: is not UTF-8"):
        append_item(people, "x")


def test_half_a_character_is_refused(people: Path) -> None:
    with pytest.raises(ConfigError, match="is not Unicode"):
        append_item(people, "\udcff")


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    """A folder in which nothing can be made, even by root: its name is taken by a file."""
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_leaves_the_file_alone(people: Path) -> None:
    with immutable(people.parent), pytest.raises(NewsletterError, match="permission denied; it is as it was"):
        append_item(people, "c@example.com")


def test_a_full_disk_leaves_the_file_alone(people: Path) -> None:
    """The file size limit of the process stands in for the disk."""
    before = people.read_bytes()
    with pytest.raises(NewsletterError, match="cannot be written: file too large; it is as it was"):
        in_child(lambda: small_files_only(lambda: append_item(people, "c@example.com")))

    assert before == people.read_bytes()
    assert ["subscribers.yaml"] == names(people.parent)


def small_files_only(then: Callable[[], None]) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    then()


def in_child(work: Callable[[], None]) -> None:
    """Run in a process of its own; its error, if it is one of ours, is raised here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work()
        except NewsletterError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    if said:
        raise NewsletterError(said)


def test_two_at_once_take_turns(people: Path) -> None:
    def add(part: int) -> None:
        for number in range(10):
            append_item(people, f"{part}-{number}@example.com")

    threads = [threading.Thread(target=add, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 32 == len(set(yaml.safe_load(people.read_text())))


def test_who_waits_too_long_is_told_that_another_run_is_at_it(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replace, "_WAIT_SECONDS", 0.1)
    holder = os.open(people.parent, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="is being edited by another run"):
            append_item(people, "c@example.com")
    finally:
        os.close(holder)


# ----------------------------------------------------------------------- kill -9


def killed(work: Callable[[], None], after: int | None = None, seconds: float | None = None) -> None:
    """Run in a child process that is killed at its n-th function call, or after a while."""
    pid = os.fork()
    if not pid:
        calls = 0

        def count(_frame: Any, _event: str, _arg: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == after:
                os.kill(os.getpid(), signal.SIGKILL)

        if after is not None:
            sys.setprofile(count)
        try:
            work()
        finally:
            os._exit(0)
    if seconds is not None:
        threading.Event().wait(seconds)
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def calls_of(work: Callable[[], None]) -> int:
    calls = 0

    def count(_frame: Any, _event: str, _arg: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_killed_at_any_step_the_file_is_the_old_one_or_the_new_one(people: Path) -> None:
    old = people.read_text()
    new = old + "- c@example.com\n"
    total = calls_of(lambda: append_item(people, "c@example.com"))
    seen = set()
    # Evenly over the whole edit, and closely over its end, where it touches the disk.
    steps = [*range(1, total, total // KILLS), *range(total - 2 * KILLS, total, 4)]
    for step in steps:
        people.write_text(old)
        killed(lambda: append_item(people, "c@example.com"), after=step)

        assert people.read_text() in (old, new), f"killed at call {step} of {total}"
        seen.add(people.read_text())

    assert {old, new} == seen
    append_item(people, "d@example.com")
    assert ["subscribers.yaml"] == names(people.parent)


def test_killed_at_random_moments_the_file_is_always_whole(people: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)

    def add_for_ever() -> None:
        number = len(yaml.safe_load(people.read_text()))
        while True:
            append_item(people, {"email": f"{number}@example.com", "name": "N" * 200})
            number += 1

    for _ in range(KILLS):
        killed(add_for_ever, seconds=chance.uniform(0.0, 0.05))

        text = people.read_text()
        emails = [item if isinstance(item, str) else item["email"] for item in yaml.safe_load(text)]
        expected = ["a@example.com", "b@example.com", *(f"{number}@example.com" for number in range(2, len(emails)))]
        assert expected == emails, f"seed {seed}"
        assert text.startswith("# people\n")
        assert text.endswith("\n")
    assert len(emails) > 2  # the edits were under way when they were killed
