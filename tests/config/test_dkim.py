"""smtp.dkim: one key or two, and every mistake at its line."""

from pathlib import Path

import pytest

from newsletter.config import Config, DkimConfig, parse_project
from newsletter.errors import ConfigError

HEAD = "title: Wire\nfrom: Wire <wire@example.com>\nsmtp:\n  host: mail.example.com\n"
ONE = "  dkim:\n    domain: example.com\n    selector: news1\n    key_file: dkim.pem\n"
TWO = (
    "  dkim:\n    - {domain: example.com, selector: rsa1, key_file: rsa.pem}\n"
    "    - domain: mail.example.com\n      selector: ed1\n      key_file: /etc/keys/ed.pem\n"
)
NOT_A_SELECTOR = "must be of letters, digits and -, as it stands in the DNS before ._domainkey"
TOO_MANY = "has more than two keys: one of RSA and one of Ed25519 are what verifiers can use"


def parse(text: str) -> Config:
    return parse_project(HEAD + text, Path("/srv/wire/newsletter.yaml"))


def said(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [line.removeprefix("/srv/wire/") for line in str(caught.value).splitlines()]


def test_without_it_nothing_is_signed() -> None:
    assert () == parse("").require_smtp().dkim


def test_one_key_is_a_mapping_and_its_file_stands_beside_the_project() -> None:
    expected = DkimConfig(
        domain="example.com",
        selector="news1",
        key_file=Path("/srv/wire/dkim.pem"),
        line=8,
        place="smtp.dkim.key_file",
    )

    assert (expected,) == parse(ONE).require_smtp().dkim


def test_two_keys_are_a_list() -> None:
    rsa, ed25519 = parse(TWO).require_smtp().dkim

    assert ("rsa1", Path("/srv/wire/rsa.pem"), 6, "smtp.dkim[0].key_file") == (
        rsa.selector,
        rsa.key_file,
        rsa.line,
        rsa.place,
    )
    assert ("mail.example.com", "ed1", Path("/etc/keys/ed.pem"), 9, "smtp.dkim[1].key_file") == (
        ed25519.domain,
        ed25519.selector,
        ed25519.key_file,
        ed25519.line,
        ed25519.place,
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Example.COM", "example.com"), ("example.com.", "example.com"), ("bücher.example", "xn--bcher-kva.example")],
)
def test_the_domain_is_as_the_dns_has_it(written: str, meant: str) -> None:
    assert meant == parse(ONE.replace("example.com", written)).require_smtp().dkim[0].domain


@pytest.mark.parametrize("selector", ["s", "2026-03", "k1.mail", "s1_2048", "S1"])
def test_selectors_as_people_have_them(selector: str) -> None:
    assert selector.lower() == parse(ONE.replace("news1", selector)).require_smtp().dkim[0].selector


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("example.com", "wire@example.com", "newsletter.yaml:6: smtp.dkim.domain: is not a domain such as example.com"),
        ("example.com", "https://example.com", "newsletter.yaml:6: smtp.dkim.domain: is not a domain such as example.com"),
        ("example.com", "localhost", "newsletter.yaml:6: smtp.dkim.domain: is not a domain such as example.com"),
        ("example.com", "a_b.example.com", "newsletter.yaml:6: smtp.dkim.domain: is not a domain such as example.com"),
        (
            "news1",
            "news1._domainkey.example.com",
            "newsletter.yaml:7: smtp.dkim.selector: must be what stands before ._domainkey in the DNS, and no more",
        ),
        (
            "news1",
            "a b",
            f"newsletter.yaml:7: smtp.dkim.selector: {NOT_A_SELECTOR}",
        ),
        ("news1", "20260301", 'newsletter.yaml:7: smtp.dkim.selector: 20260301 means a number in YAML: quote it if it is text: "20260301"'),
        ("    key_file: dkim.pem\n", "", "newsletter.yaml:5: smtp.dkim.key_file: is missing"),
        ("key_file: dkim.pem", "key_file:", "newsletter.yaml:8: smtp.dkim.key_file: is empty: give it a value, or take the line out"),
        ("selector", "selektor", "newsletter.yaml:7: smtp.dkim.selektor: no such setting: did you mean selector?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(old: str, new: str, problem: str) -> None:
    assert problem in said(ONE.replace(old, new))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            TWO.replace("ed1", "Rsa1").replace("mail.example.com", "example.com"),
            ["newsletter.yaml:8: smtp.dkim[1].selector: is the one above again: each key has its own"],
        ),
        (
            TWO.replace("selector: ed1", "selector: _x"),
            [f"newsletter.yaml:8: smtp.dkim[1].selector: {NOT_A_SELECTOR}"],
        ),
        (
            TWO + "    - {domain: example.com, selector: c, key_file: c.pem}\n",
            [f"newsletter.yaml:5: smtp.dkim: {TOO_MANY}"],
        ),
        ("  dkim: []\n", ["newsletter.yaml:5: smtp.dkim: is empty"]),
        ("  dkim: dkim.pem\n", ["newsletter.yaml:5: smtp.dkim: must be settings: domain, selector and key_file"]),
        ("  dkim: true\n", ["newsletter.yaml:5: smtp.dkim: must be settings: domain, selector and key_file"]),
        ("  dkim:\n", ["newsletter.yaml:5: smtp.dkim: is empty: give it a value, or take the line out"]),
        (
            "  dkim: [dkim.pem]\n",
            ["newsletter.yaml:5: smtp.dkim[0]: must be settings, one `key: value` a line, not dkim.pem"],
        ),
    ],
)
def test_mistakes_of_the_list(text: str, problems: list[str]) -> None:
    assert problems == said(text)
