"""SpamAssassin with the rules that ship with it, offline, on the very bytes that would leave."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from newsletter.app.letters import Letter

pytestmark = pytest.mark.xdist_group("proof")

#: A letter of ours scores no more than this; 5 is spam.
MOST = 0.5
MOST_FROM_A_HOSTILE_FEED = 1.5
_MESSAGE_ID = re.compile(rb"Message-ID: <([^>]*)>")


@pytest.fixture(scope="session")
def assassin(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, with a home of its own and no network."""
    if shutil.which("spamassassin") is None:
        pytest.skip("no spamassassin on PATH: apt-get install spamassassin")
    home = tmp_path_factory.mktemp("spamassassin")
    return ["spamassassin", "--local", "--test-mode", "--nocreate-prefs", "--siteconfigpath", _site(home)]


def _site(home: Path) -> str:
    """Only what needs no network and no memory of other mail."""
    (home / "local.cf").write_text("use_bayes 0\nuse_auto_whitelist 0\n", encoding="utf-8")
    for plugins in Path("/etc/spamassassin").glob("*.pre"):
        shutil.copy(plugins, home / plugins.name)
    return str(home)


def scores(assassin: list[str], messages: dict[str, bytes]) -> dict[str, tuple[float, str]]:
    """The score of each message, and the rules that made it; all in one run, for starting takes longest."""
    box = b"".join(
        b"From wire@example.com Mon Mar  2 07:00:00 2026\n"
        + _MESSAGE_ID.sub(b"Message-ID: <" + name.encode() + rb"-\1>", raw.replace(b"\r\n", b"\n"), count=1)
        + b"\n"
        for name, raw in messages.items()
    )
    done = subprocess.run([*assassin, "--mbox"], input=box, capture_output=True, timeout=90, check=True)
    report = done.stdout.decode("utf-8", "replace")
    # It answers in an order of its own, each message followed by its report.
    pieces = re.split(r"^Message-ID: <", report, flags=re.MULTILINE)[1:]
    found = {}
    for piece in pieces:
        match = re.search(r"Content analysis details:\s+\((-?[\d.]+) points.*", piece, re.DOTALL)
        assert match, piece
        found[piece.partition("-")[0]] = (float(match[1]), match[0][:1_500])
    assert found.keys() == messages.keys(), done.stderr.decode("utf-8", "replace")
    return found


def test_letters_are_no_spam_and_spam_is_noticed(assassin: list[str], letters: dict[str, Letter]) -> None:
    sample = letters["sample"].message
    shouting = re.sub(rb"\r\nSubject: [^\r]*(\r\n [^\r]*)*", b"\r\nSubject: FREE MONEY NOW!!!", sample)
    spam = re.sub(rb"\r\n(List-[A-Za-z]+|Precedence): [^\r]*(\r\n [^\r]*)*", b"", shouting)

    found = scores(assassin, {"sample": sample, "nasty": letters["nasty"].message, "spam": spam})

    assert found["sample"][0] <= MOST, found["sample"][1]
    assert found["nasty"][0] <= MOST_FROM_A_HOSTILE_FEED, found["nasty"][1]
    assert found["spam"][0] > MOST_FROM_A_HOSTILE_FEED, found["spam"][1]
