"""`schedule install`: have the system look every few minutes what is due, by a systemd timer or by cron.

Nothing of the program stays up in between.  What is written names this
project's folder, so that each project has its own, and can be taken away again.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Final, Literal

from newsletter.config import Config
from newsletter.config.system import settings_folder, user
from newsletter.errors import NewsletterError, UsageError
from newsletter.text import one_line, slug

Way = Literal["systemd", "cron"]

#: How often is looked, in minutes; a slot is kept to within that.
_EVERY: Final = 5
#: What the two system tools may take to answer, in seconds.
_PATIENCE: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What keeps the schedule of one project: files by path for systemd, or a line for cron."""

    way: Way
    name: str
    files: Mapping[Path, str]
    line: str = ""

    @property
    def text(self) -> str:
        """All of it, to be read or put in place by hand."""
        if self.way == "cron":
            return f"{self.line}\n"
        return "\n".join(f"# {path}\n{text}" for path, text in self.files.items())


def installation(config: Config, way: Way) -> Installation:
    """What would keep the project's schedule; writes nothing.

    Raises:
        UsageError: no digest has a schedule.
    """
    if not any(digest.schedule for digest in config.digests):
        raise UsageError("no digest has a schedule", hint='give it one in newsletter.yaml: schedule: "daily 07:30"')
    name = unit_name(config)
    if way == "cron":
        return Installation(way=way, name=name, files={}, line=_cron_line(config))
    folder = _unit_folder()
    return Installation(
        way=way,
        name=name,
        files={folder / f"{name}.service": _service(config), folder / f"{name}.timer": _timer(config)},
    )


def install(config: Config, way: Way | None) -> Installation:
    """Put it in place, in the way given or in the one that this machine has.

    Doing it again changes nothing but what is out of date.

    Raises:
        NewsletterError: the machine has neither, or its tool refused.
        UsageError: no digest has a schedule.
    """
    found = installation(config, way or _usual_way())
    if found.way == "cron":
        _write_crontab([*_other_lines(config), found.line])
        return found
    for path, text in found.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _run("systemctl", "--user", "daemon-reload")
    _run("systemctl", "--user", "enable", "--now", f"{found.name}.timer")
    return found


def uninstall(config: Config) -> list[Way]:
    """Take away what `install` has put in place, in whichever way; says in which.

    Raises:
        NewsletterError: the machine's tool refused.
    """
    gone: list[Way] = []
    name, folder = unit_name(config), _unit_folder()
    files = [path for path in (folder / f"{name}.timer", folder / f"{name}.service") if path.exists()]
    if files:
        _run("systemctl", "--user", "disable", "--now", f"{name}.timer")
        for path in files:
            path.unlink()
        _run("systemctl", "--user", "daemon-reload")
        gone.append("systemd")
    if which("crontab") and len(others := _other_lines(config)) < len(_crontab()):
        _write_crontab(others)
        gone.append("cron")
    return gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Something in place that calls the program for the project in `folder`; `removal` says how to take it away.

    It `is_current` where it says what `install` would write now.
    """

    way: Way
    name: str
    folder: Path
    is_current: bool
    removal: str

    @property
    def words(self) -> str:
        """What it is, for people."""
        return f"the systemd timer {self.name}" if self.way == "systemd" else f"the crontab line {self.name}"


def installed(config: Config | None) -> list[Installed]:
    """What is in place for a project, or for whichever projects there ever were; changes nothing."""
    found = [*_installed_units(config), *_installed_lines(config)]
    return found if config is None else [one for one in found if one.name == unit_name(config)]


def _installed_units(config: Config | None) -> Iterator[Installed]:
    folder = _unit_folder()
    for path in sorted(folder.glob("newsletter-*.service")):
        timer = path.with_suffix(".timer")
        try:
            text, times = path.read_text(encoding="utf-8"), timer.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        where = re.findall(r'"-c" "((?:[^"\\]|\\.)*)"\s*$', text, re.MULTILINE)
        if where:
            plain = re.sub(r"\\(.)", r"\1", where[-1]).replace("%%", "%").replace("$$", "$")
            yield Installed(
                way="systemd",
                name=path.stem,
                folder=Path(plain),
                is_current=config is not None and (text, times) == (_service(config), _timer(config)),
                removal=f"systemctl --user disable --now {timer.name}, then remove {path} and {timer}",
            )


def _installed_lines(config: Config | None) -> Iterator[Installed]:
    if not which("crontab"):
        return
    for line in _crontab():
        command, mark, name = line.rpartition(" # newsletter-")
        if not mark or line.lstrip().startswith("#"):
            continue
        try:
            folder = shlex.split(command.replace(r"\%", "%"))[-1]
        except (ValueError, IndexError):
            continue
        yield Installed(
            way="cron",
            name=f"newsletter-{name.strip()}",
            folder=Path(folder),
            is_current=config is not None and line == _cron_line(config),
            removal=f"crontab -e, and take out the line that ends with newsletter-{name.strip()}",
        )


def stays_when_logged_out() -> bool:
    """Whether systemd runs this user's timers while nobody is logged in."""
    done = _ask("loginctl", "show-user", user(), "--property=Linger")
    return done is not None and done.stdout.strip() == "Linger=yes"


def unit_name(config: Config) -> str:
    """What systemd calls it: readable, and the project's own."""
    return f"newsletter-{slug(config.title, 30) or 'project'}-{sha256(bytes(config.folder)).hexdigest()[:8]}"


# ------------------------------------------------------------------------- systemd


def _unit_folder() -> Path:
    return settings_folder() / "systemd" / "user"


def _service(config: Config) -> str:
    title = one_line(config.title, 60).replace("%", "%%")
    return f"""[Unit]
Description=newsletter: what is due of {title}

[Service]
Type=oneshot
# A feed that cannot be read keeps nobody from their issue.
ExecStart=-{_unit_words([*_program(), "fetch", "--due", "-q", "-c", str(config.folder)])}
ExecStart={_unit_words([*_program(), "send", "--due", "-q", "-c", str(config.folder)])}
# 3: some people could not be mailed.  75: another send is at work.
SuccessExitStatus=3 75
"""


def _timer(config: Config) -> str:
    title = one_line(config.title, 60).replace("%", "%%")
    return f"""[Unit]
Description=newsletter: look what is due of {title}

[Timer]
OnCalendar=*:0/{_EVERY}
AccuracySec=5s
Persistent=true

[Install]
WantedBy=timers.target
"""


def _unit_words(words: Sequence[str]) -> str:
    """A command for ExecStart (systemd.service(5), "Command lines"): quoted, with no specifiers and no variables."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$") for word in words)
    return " ".join(f'"{word}"' for word in quoted)


# ---------------------------------------------------------------------------- cron


def _cron_line(config: Config) -> str:
    """A line for crontab(5), where an unquoted % would be a line end."""
    fetch, send = (
        shlex.join([*_program(), verb, "--due", "-q", "-c", str(config.folder)]) for verb in ("fetch", "send")
    )
    return f"*/{_EVERY} * * * * {fetch}; {send}".replace("%", r"\%") + f" {_mark(config)}"


def _mark(config: Config) -> str:
    """A comment for the shell, by which our line is found again."""
    return f"# {unit_name(config)}"


def _other_lines(config: Config) -> list[str]:
    return [line for line in _crontab() if not line.endswith(_mark(config))]


def _crontab() -> list[str]:
    done = _ask("crontab", "-l")
    # Without a table it complains; that is an empty one.
    return done.stdout.splitlines() if done is not None and done.returncode == 0 else []


def _write_crontab(lines: Sequence[str]) -> None:
    _run("crontab", "-", given="".join(f"{line}\n" for line in lines))


# --------------------------------------------------------------------------- tools


def _program() -> list[str]:
    """How to call this program from anywhere."""
    script = Path(sys.argv[0])
    if script.name == "newsletter" and script.is_file():
        return [str(script.absolute())]
    return [sys.executable, "-m", "newsletter"]


def _usual_way() -> Way:
    if which("systemctl") and (done := _ask("systemctl", "--user", "show-environment")) and done.returncode == 0:
        return "systemd"
    if which("crontab"):
        return "cron"
    raise NewsletterError(
        "this machine has neither systemd for users nor crontab",
        hint="newsletter schedule install --print shows what should be called, and newsletter run stays up instead",
    )


def _ask(*words: str) -> "subprocess.CompletedProcess[str] | None":
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None


def _run(*words: str, given: str | None = None) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - words of our own
            words, input=given, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NewsletterError(f"{words[0]} cannot be run: {error}") from error
    if done.returncode:
        said = one_line(done.stderr or done.stdout, 200)
        raise NewsletterError(
            f"{' '.join(words)} failed: {said or done.returncode}",
            hint="newsletter schedule install --print shows what it should set up",
        )
