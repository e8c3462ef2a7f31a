"""When digests go out, as the program tells it."""

from tests.cli.conftest import Wire


def test_the_next_slots_of_each_digest_are_shown_in_its_zone(wire: Wire) -> None:
    wire.configure(
        wire.web.feed("/rss", "First"),
        more="digests:\n  daily: {schedule: mon-fri 07:00, timezone: Asia/Kolkata}\n  extra: {}\n",
    )

    shown = wire("schedule", "next", "-n", "2")
    found = wire("schedule", "next", "--json").data

    assert 0 == shown.code
    assert 2 == shown.out.count("Asia/Kolkata")
    assert "07:00" in shown.out
    assert "extra has no schedule: it goes out when somebody says newsletter send extra" in shown.err
    assert [("daily", 5), ("extra", 0)] == [(one["digest"], len(one["slots"])) for one in found]
    first = found[0]["slots"][0]
    assert (first["slot"][-5:], first["at"][11:16]) == ("07:00", "01:30")
    assert ["daily"] == [one["digest"] for one in wire("schedule", "next", "daily", "--json").data]


def test_a_rule_that_is_none_is_named_with_its_line(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), more="digests:\n  daily:\n    schedule: daily 24:00\n")

    failed = wire("schedule", "next")

    assert 2 == failed.code
    assert "schedule: there is no 24:00 on a clock" in failed.err
    assert "newsletter.yaml:" in failed.err


def test_a_digest_that_there_is_not_is_named(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))

    failed = wire("schedule", "next", "dialy")

    assert 2 == failed.code
    assert "dialy" in failed.err
