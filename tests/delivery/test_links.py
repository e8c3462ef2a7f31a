"""Personal addresses: short, unforgeable, the same from issue to issue."""

import re
from dataclasses import replace

import pytest

from newsletter.delivery.links import is_token_of, links_with, token
from tests.delivery.samples import ENVELOPE, SECRET

ADA = "ada@example.com"


def test_a_token_is_22_characters_and_names_nobody() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", token(SECRET, "daily", ADA))


def test_a_token_is_of_one_person_and_one_digest_and_one_project() -> None:
    tokens = {
        token(secret, digest, key)
        for secret in (SECRET, b"another" * 5)
        for digest in ("daily", "weekly")
        for key in (ADA, "bob@example.com")
    }

    assert 8 == len(tokens)


def test_only_the_token_itself_is_taken() -> None:
    ours = token(SECRET, "daily", ADA)

    assert is_token_of(ours, SECRET, "daily", ADA)
    for other in (
        "",
        ours[:-1],
        ours + "A",
        ours.swapcase(),
        ours.replace(ours[0], "é"),
        "\ud800",
        token(SECRET, "weekly", ADA),
    ):
        assert not is_token_of(other, SECRET, "daily", ADA)


def test_with_a_web_address_there_are_pages() -> None:
    links = links_with(ENVELOPE, "daily", 12, token(SECRET, "daily", ADA))
    ours = token(SECRET, "daily", ADA)

    assert f"https://wire.example.com/u/daily/{ours}" == links.unsubscribe_url
    assert f"https://wire.example.com/p/daily/{ours}" == links.preferences_url
    assert "https://wire.example.com/i/daily/12" == links.view_url
    assert (links.unsubscribe_url, f"mailto:wire+leave@example.com?subject=unsubscribe%20{ours}") == links.ways_out
    assert links.one_click


def test_without_a_web_address_one_leaves_by_mail() -> None:
    links = links_with(replace(ENVELOPE, base_url=None), "daily", 12, token(SECRET, "daily", ADA))

    assert (links.mailto,) == links.ways_out == (links.unsubscribe_url,)
    assert ("", "", "", False) == (links.preferences_url, links.view_url, links.archive_url, links.one_click)


def test_one_click_needs_https() -> None:
    assert not links_with(
        replace(ENVELOPE, base_url="http://localhost:8000"), "d", 1, token(SECRET, "d", ADA)
    ).one_click


@pytest.mark.parametrize("email", ["a?b@example.com", "a&b@example.com", "a%b@example.com"])
def test_an_address_with_awkward_characters_stays_one_address(email: str) -> None:
    mailto = links_with(replace(ENVELOPE, unsubscribe_email=email), "daily", 1, token(SECRET, "daily", ADA)).mailto

    assert 1 == mailto.count("?")
    assert "&" not in mailto.partition("?")[0]
