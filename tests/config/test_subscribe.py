"""How people sign up, as newsletter.yaml says it."""

from pathlib import Path

import pytest

from newsletter.config.load import parse_project
from newsletter.errors import ConfigError

BASE = "title: T\nfrom: wire@example.com\n"


@pytest.mark.parametrize(
    ("written", "confirm", "form"),
    [
        ("", True, True),
        ("subscribe: {}\n", True, True),
        ("subscribe: {confirm: false}\n", False, True),
        ("subscribe: {form: false, confirm: true}\n", True, False),
    ],
)
def test_who_signs_up_confirms_unless_the_project_says_otherwise(written: str, confirm: bool, form: bool) -> None:
    found = parse_project(BASE + written, Path("/wire/newsletter.yaml")).subscribe

    assert (confirm, form) == (found.confirm, found.form)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("subscribe: {confirm: maybe}\n", "subscribe.confirm"),
        ("subscribe: {confrim: true}\n", "did you mean confirm"),
        ("subscribe: yes\n", "subscribe"),
        ("subscribe: [confirm]\n", "subscribe"),
    ],
)
def test_a_mistake_is_named_with_its_line(written: str, place: str) -> None:
    with pytest.raises(ConfigError, match=r"newsletter\.yaml:3: ") as raised:
        parse_project(BASE + written, Path("/wire/newsletter.yaml"))

    assert place in str(raised.value)
