"""What every sender of `benchmarks.dispatch` is given and how it is measured; needs the standard library alone.

A sender is a program of its own:  PROGRAM JOB PORT CONNECTIONS.  The job is a
JSON file with the letter (places for three personal values in it) and the
people.  It prints one line of JSON: seconds on the clock and of CPU from the
first connection to the last answer, start-up and imports aside.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
NAME, NAME_HTML, URL = "@@name@@", "@@name-html@@", "@@url@@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One reader: the address, and the three values."""

    email: str
    name: str
    name_html: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Whom to send what, and where."""

    from_name: str
    from_email: str
    subject: str
    date: str
    text: str
    html: str
    people: list[Person]
    port: int
    connections: int

    def text_for(self, person: Person) -> str:
        return self.text.replace(NAME, person.name).replace(URL, person.url)

    def html_for(self, person: Person) -> str:
        return self.html.replace(NAME_HTML, person.name_html).replace(URL, person.url)

    def message_id(self, person: Person) -> str:
        return f"<12.{person.email.replace('@', '.')}@example.com>"


def job() -> Job:
    """The job that the command line names."""
    path, port, connections = sys.argv[1:4]
    read = json.loads(Path(path).read_text("utf-8"))
    people = [Person(**person) for person in read.pop("people")]
    return Job(**read, people=people, port=int(port), connections=int(connections))


def measure(work: Callable[[], None]) -> None:
    """Do it, and print what it cost."""
    before, began = _cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - began
    print(json.dumps({"wall": wall, "cpu": _cpu() - before}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
