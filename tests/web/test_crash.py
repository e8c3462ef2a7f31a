"""`newsletter serve` is killed at random moments while people confirm: whoever was told "you are subscribed" is."""

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from newsletter.app.project import App
from newsletter.yamlfile import editing
from tests.conftest import ROOT

CONFIG = """\
title: The Morning Wire
from: wire@example.com
base_url: http://127.0.0.1
feeds: []
smtp: {host: 127.0.0.1, port: 9, tls: none}
"""
PEOPLE = 40


class Serving:
    """The program, until it is killed."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "newsletter", "serve", "--port", "0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        self.port = int(re.findall(r":(\d+)/", self.process.stdout.readline())[0])

    def post(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", path, b"", {"Content-Type": "application/x-www-form-urlencoded"})
            return connection.getresponse().status
        finally:
            connection.close()

    def end(self, how: signal.Signals | None = None) -> int:
        if how is not None:
            self.process.send_signal(how)
        said = self.process.communicate(timeout=30)[1]
        assert "Traceback" not in said
        return self.process.returncode


def confirm_until_killed(folder: Path, paths: dict[str, str], chance: random.Random) -> set[str]:
    """Whom a server that is killed soon after its first answers said "you are subscribed" to."""
    server = Serving(folder)
    answered: set[str] = set()

    def press(mine: list[str]) -> None:
        with suppress(OSError, http.client.HTTPException):
            for email in mine:
                if server.post(paths[email]) == 200:
                    answered.add(email)

    emails = list(paths)
    threads = [threading.Thread(target=press, args=(emails[place::3],)) for place in range(3)]
    for thread in threads:
        thread.start()
    few, deadline = chance.randint(1, 12), time.monotonic() + 30
    while len(answered) < few and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.uniform(0.0, 0.05))
    server.end(signal.SIGKILL)
    for thread in threads:
        thread.join()
    return answered


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_whoever_was_told_so_is_on_the_list_and_in_the_record(tmp_path: Path, kills: int) -> None:
    """And whoever was not is not lost: the same link works when the server is back, which then ends in order."""
    chance = random.Random(20260302)
    (tmp_path / "newsletter.yaml").write_text(CONFIG)
    (tmp_path / "subscribers.yaml").write_text("# ours\n- ada@example.com\n")
    app = App.open(tmp_path)
    told: set[str] = set()
    paths: dict[str, str] = {}
    for attempt in range(kills):
        paths = {}
        for number in range(PEOPLE):
            email = f"{attempt}-{number}@example.com"
            paths[email] = f"/c/{app.store.sign_up(email, email, source='the form').token}"
        told |= confirm_until_killed(tmp_path, paths, chance)

    listed = [person.email for person in app.roster.people()]
    confirmed = {one.email for one in app.store.consents() if one.event.value == "confirmed"}
    assert told
    assert told <= set(listed)
    assert told <= confirmed <= set(listed)
    assert len(listed) == len(set(listed))
    assert (tmp_path / "subscribers.yaml").read_text().startswith("# ours\n- ada@example.com\n")

    email, path = list(paths.items())[-1]
    assert 200 == ends_in_order(tmp_path, path)
    assert 1 == [person.email for person in app.roster.people()].count(email)
    app.close()


def ends_in_order(folder: Path, path: str) -> int:
    """What a visitor is answered whose request is under way when the server is asked to end."""
    server = Serving(folder)
    statuses: list[int] = []
    pressing = threading.Thread(target=lambda: statuses.append(server.post(path)))
    with editing(folder / "subscribers.yaml"):  # by somebody else, so that the answer has to wait
        pressing.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    assert 0 == server.end()
    pressing.join()
    return statuses[0]
