"""TAB: what the shell offers in a project, and that no shell reads anything into it."""

import contextlib
import io
from pathlib import Path

import pytest

from newsletter.store.glance import last_issues
from tests.cli.conftest import Wire

PROJECT = """\
title: The Morning Wire
from: wire@example.com
feeds:
  - https://news.example.com/feed.xml
  - {url: https://b.example/rss, title: Courier}
  - {url: "https://c.example/rss?a=1&b=2", title: "$(touch pwned)"}
  - {url: "https://d.example/'rss", title: "two words"}
digests:
  daily: {schedule: "daily 07:00"}
  weekly: {}
"""


def offered(line: str, folder: Path, shell: str = "bash") -> list[str]:
    """What comes of TAB at the end of a line."""
    from newsletter.cli import app

    words = line.split(" ")
    given = {
        "_NEWSLETTER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit):
            app(prog_name="newsletter")
    return [word for word in out.getvalue().splitlines() if word]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "newsletter.yaml").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def test_digests_are_offered_where_one_is_asked_for(project: Path) -> None:
    assert ["daily", "weekly"] == offered("newsletter send ", project)
    assert ["weekly"] == offered("newsletter preview w", project)
    assert ["daily", "weekly"] == offered("newsletter subscriber list --digest ", project)


def test_a_project_that_names_no_digest_has_one(tmp_path: Path) -> None:
    (tmp_path / "newsletter.yaml").write_text("title: W\nfrom: w@example.com\nfeeds: []\n", encoding="utf-8")
    (tmp_path / "below").mkdir()

    assert ["daily"] == offered("newsletter send ", tmp_path / "below")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_feeds_are_offered_but_nothing_that_a_shell_would_run(project: Path, shell: str) -> None:
    found = "\n".join(offered("newsletter feed pause ", project, shell)).replace("\\\\:", ":")

    for word in ("https://news.example.com/feed.xml", "https://b.example/rss", "Courier"):
        assert word in found
    for word in ("$", "touch", "two words", "c.example", "d.example"):
        assert word not in found


def test_another_project_is_looked_at_where_the_line_says_so(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    assert [] == offered("newsletter send ", elsewhere)
    assert ["daily", "weekly"] == offered(f"newsletter -c {project} send ", elsewhere)
    assert ["daily", "weekly"] == offered(f"newsletter send -c {project / 'newsletter.yaml'} ", elsewhere)


@pytest.mark.parametrize(
    "text", ["", "- a\n", "digests: [", "digests: {daily: 1}\nfeeds: x\n", "\0", "a: &b 1\nc: *b\n"]
)
def test_a_file_full_of_mistakes_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    (tmp_path / "newsletter.yaml").write_text(text, encoding="utf-8")

    assert offered("newsletter send ", tmp_path) in ([], ["daily"])
    assert [] == offered("newsletter feed pause ", tmp_path)
    assert [] == offered("newsletter issue show ", tmp_path)


def test_issues_are_offered(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    assert [] == offered("newsletter issue show ", wire.folder)
    assert wire("send", "-y").code == 0

    assert ["1"] == offered("newsletter issue show ", wire.folder)


def test_a_glance_makes_no_database_and_stands_anything(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all" * 100)

    assert ([], []) == (last_issues(tmp_path / "broken.db"), last_issues(tmp_path / "none.db"))
    assert not (tmp_path / "none.db").exists()
