"""Passwords: never in the file, never shown, and read only when they are needed."""

import logging
import pickle
import sys
import traceback
from pathlib import Path

import pytest

from newsletter.config import Config, PasswordSource, Secret, parse_project
from newsletter.errors import NewsletterError

PASSWORD = "hunter2-ü"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD", raising=False)


def project(folder: Path, source: str) -> Config:
    text = f"title: x\nfrom: a@example.com\nsmtp:\n  host: mail.example.com\n  username: u\n{source}"
    return parse_project(text, folder / "newsletter.yaml")


def password(folder: Path, source: str = "") -> str:
    found = project(folder, source).require_smtp().password()
    assert found is not None
    return found.reveal()


def test_no_way_of_writing_a_secret_shows_it() -> None:
    secret = Secret(PASSWORD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", f"{secret!r}", "%s" % secret, repr([secret])]  # noqa: UP031
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (secret, secret), None)

    assert [] == [text for text in [*shown, record.getMessage()] if PASSWORD in text]
    assert PASSWORD == secret.reveal()
    assert secret == Secret(PASSWORD)
    assert secret != Secret("other")
    assert secret != PASSWORD
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_file_that_only_its_owner_reads_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)

    assert PASSWORD == password(tmp_path, "  password_file: secret\n")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text(PASSWORD)
    path.chmod(mode)

    with pytest.raises(NewsletterError, match=f"can be read or written by others \\(mode {mode:o}\\)") as caught:
        password(tmp_path, "  password_file: secret\n")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("chmod 600 ")
    assert path == (Path.cwd() / caught.value.hint.removeprefix("chmod 600 ")).resolve()


def test_the_environment_holds_it_and_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRE_PASSWORD", "from the project's variable")
    assert "from the project's variable" == password(tmp_path, "  password_env: WIRE_PASSWORD\n")

    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", PASSWORD)
    assert PASSWORD == password(tmp_path, "  password_env: WIRE_PASSWORD\n")
    assert PASSWORD == password(tmp_path, "  password_file: none\n")
    assert PASSWORD == password(tmp_path)


def test_a_command_prints_it_and_no_shell_touches_it(tmp_path: Path) -> None:
    echo = f"{sys.executable} -c 'import sys; print(sys.argv[1])'"

    assert "$HOME;*" == password(tmp_path, f"  password_command: {echo} '$HOME;*'\n")
    assert "$HOME" == password(tmp_path, f"  password_command: [{sys.executable}, -c, 'print(\"$HOME\")']\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "the environment variable NEWSLETTER_SMTP_PASSWORD is not set"),
        ("  password_env: NOT_SET_ANYWHERE\n", "the environment variable NOT_SET_ANYWHERE is not set"),
        ("  password_file: none\n", "cannot be read: no such file or directory"),
        ("  password_file: .\n", "cannot be read: is a directory"),
        ("  password_file: empty\n", "empty is empty"),
        ("  password_file: two\n", "two holds more than one line"),
        ("  password_command: no-such-program-anywhere\n", "no-such-program-anywhere cannot be run"),
        ("  password_command: [PYTHON, -c, 'import sys; sys.exit(\"locked\")']\n", "failed with 1: locked"),
        ("  password_command: [PYTHON, -c, '']\n", "password_command is empty"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, source: str, said: str) -> None:
    for name, text in {"empty": "\n", "two": "a\nb\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)

    with pytest.raises(NewsletterError) as caught:
        password(tmp_path, source.replace("PYTHON", sys.executable))
    assert said in str(caught.value)


def test_a_command_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.config.secret._COMMAND_SECONDS", 0.2)

    with pytest.raises(NewsletterError, match="has not answered within"):
        password(tmp_path, f"  password_command: [{sys.executable}, -c, 'import time; time.sleep(60)']\n")


def test_no_error_and_no_traceback_shows_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.config.secret._COMMAND_SECONDS", 0.5)
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2\xff")
    path.chmod(0o600)
    slow = f'[{sys.executable}, -c, \'import time; print("hunter" + "2", flush=True); time.sleep(60)\']'
    for source in ("password_file: secret", f"password_command: {slow}"):
        try:
            password(tmp_path, f"  {source}\n")
        except NewsletterError as error:
            told = "".join(traceback.format_exception(error))
        assert "hunter2" not in told


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    config = project(tmp_path, "  password_command: touch touched\n")

    assert not (tmp_path / "touched").exists()
    assert "touch" not in repr(config)


def test_no_user_name_no_password() -> None:
    text = "title: x\nfrom: a@example.com\nsmtp: {host: localhost, tls: none}\n"

    assert parse_project(text, Path("/p/newsletter.yaml")).require_smtp().password() is None


def test_a_source_can_be_made_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "y")

    assert "y" == PasswordSource(variable="X").read().reveal()
