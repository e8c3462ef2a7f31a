"""The sink of the benchmarks: what it says it took, and when, is what it was given."""

import smtplib
import time
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.sink import HOST, built_fastsink, fastsink, taken

PEOPLE = [f"reader{number}@example.com" for number in range(6)]


def test_a_sink_that_takes_its_time_lists_every_recipient_once_and_in_time(tmp_path: Path) -> None:
    program = built_fastsink()
    if program is None:
        pytest.skip("there is no C compiler")
    log = tmp_path / "taken"
    with fastsink(program, "--service-ms", "40", "--rate", "20", "--log", str(log)) as sink:
        begun = time.monotonic()
        with smtplib.SMTP(HOST, sink.port) as one, smtplib.SMTP(HOST, sink.port) as other:
            for number, email in enumerate(PEOPLE):
                (one, other)[number % 2].sendmail("wire@example.com", [email], "Subject: x\r\n\r\n.\r\nx\r\n")
        accepted = sink.accepted()
        ended = time.monotonic()
    listed = taken(log)
    gaps = [after.at - before.at for before, after in pairwise(listed)]

    assert len(PEOPLE) == accepted
    assert PEOPLE == [one.email for one in listed]
    assert [0, 1, 0, 1, 0, 1] == [one.connection - listed[0].connection for one in listed]
    assert begun + 0.04 <= listed[0].at
    assert listed[-1].at <= ended
    assert min(gaps) >= 0.0499
