"""The rows of `benchmarks.dispatch`: who sends, with what program, and to whom.

A row more, such as ours with a signature, is one `Sender` more.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sink import cache

FOLDER = Path(__file__).parent
#: What `--install-peers` installs, by the names that pip and npm know.
PYTHON_PEERS = ("aiosmtplib==5.1.3", "Django==5.2.19", "redmail==0.6.0", "mailmerge==2.3.0")
NODE_PEERS = ("nodemailer",)
SMTP_SINK, FAST, DELAYED, NEAR = "smtp-sink", "fastsink", "fastsink, 20 ms away", "fastsink, 5 ms away"
EVERYWHERE = (SMTP_SINK, FAST, DELAYED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One row: what it is called, whether it can run here, and how."""

    name: str
    #: The command line, given job, port, connections and the number of messages.
    command: Callable[[Path, int, int, int], list[str]]
    #: Why it cannot run here; None if it can.
    lacks: Callable[[], str | None] = lambda: None
    #: Which share of the messages it gets: a slow one need not be waited for.
    share: float = 1.0
    share_delayed: float = 0.25
    targets: tuple[str, ...] = EVERYWHERE
    #: Whether it says itself what it cost; else the whole process is measured.
    tells: bool = True
    environment: dict[str, str] = field(default_factory=dict)


def peers_python() -> Path:
    """The interpreter with the Python peers."""
    return cache() / "peers" / "bin" / "python"


def node_folder() -> Path:
    """Where nodemailer is."""
    return cache() / "node"


def install_peers() -> None:
    """Make the folders with the peers, with pip and npm as they are set up on this machine."""
    print(f"installing {', '.join((*PYTHON_PEERS, *NODE_PEERS))} into {cache()}", file=sys.stderr)
    if not peers_python().exists():
        venv.create(cache() / "peers", with_pip=True)
    pip = [str(peers_python()), "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "install"]
    # mailmerge still asks for pkg_resources, which newer releases of setuptools no longer have.
    subprocess.run([*pip, "setuptools<81", *PYTHON_PEERS], check=True)
    if npm := shutil.which("npm"):
        node_folder().mkdir(exist_ok=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(node_folder()), *NODE_PEERS]
        subprocess.run(command, check=True)


def _python(program: str, *options: str) -> Callable[[Path, int, int, int], list[str]]:
    def command(job: Path, port: int, connections: int, _: int) -> list[str]:
        return [str(peers_python()), str(FOLDER / program), str(job), str(port), str(connections), *options]

    return command


def _ours(*options: str) -> Callable[[Path, int, int, int], list[str]]:
    def command(job: Path, port: int, connections: int, _: int) -> list[str]:
        return [sys.executable, str(FOLDER / "ours.py"), str(job), str(port), str(connections), *options]

    return command


def _node(job: Path, port: int, connections: int, _: int) -> list[str]:
    return ["node", str(FOLDER / "nodemailer_pool.cjs"), str(job), str(port), str(connections)]


def smtp_source() -> str | None:
    """Where Postfix's generator is; None if it is not installed."""
    return shutil.which("smtp-source", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


def _smtp_source(_: Path, port: int, connections: int, messages: int) -> list[str]:
    ends = ["-f", "wire@example.com", "-t", "reader@example.com", f"127.0.0.1:{port}"]
    return [smtp_source() or "", "-s", str(connections), "-d", "-m", str(messages), "-l", "60000", *ends]


def _no_module(name: str) -> Callable[[], str | None]:
    def lacks() -> str | None:
        folders: Iterable[Path] = (cache() / "peers" / "lib").glob("python*/site-packages")
        there = any((folder / name).exists() for folder in folders)
        return None if there else "not installed: --install-peers"

    return lacks


def _no_nodemailer() -> str | None:
    if not shutil.which("node"):
        return "there is no node"
    return None if (node_folder() / "node_modules" / "nodemailer").exists() else "not installed: --install-peers"


def _no_smtp_source() -> str | None:
    return None if smtp_source() else "there is no smtp-source (Debian: postfix)"


LIMIT = "smtp-source -s 8 -d (composes nothing)"
STDLIB, POOL, POOL_READY = "EmailMessage + smtplib", "aiosmtplib pool", "aiosmtplib pool, ready bytes"
DJANGO, REDMAIL, MAILMERGE, NODEMAILER = "Django send_messages", "redmail", "mailmerge", "nodemailer pool"
OURS, OURS_WINDOW = "newsletter", "newsletter, window 4"
OURS_NO_LEDGER, OURS_WINDOW_NO_LEDGER = "newsletter without ledger", "newsletter, window 4, without ledger"
#: Those that compose a message a person in Python.
PYTHON = (STDLIB, POOL, DJANGO, REDMAIL, MAILMERGE)
_SLOW = 0.1

SENDERS = (
    Sender(name=STDLIB, command=_python("stdlib.py"), lacks=_no_module("aiosmtplib"), share=_SLOW, share_delayed=0.01),
    Sender(name=POOL, command=_python("aiosmtplib_pool.py"), lacks=_no_module("aiosmtplib"), share=_SLOW),
    Sender(
        name=POOL_READY,
        command=_python("aiosmtplib_pool.py", "--ready"),
        lacks=_no_module("aiosmtplib"),
        share=0.5,
    ),
    Sender(
        name=DJANGO, command=_python("django_backend.py"), lacks=_no_module("django"), share=_SLOW, share_delayed=0.01
    ),
    Sender(
        name=REDMAIL, command=_python("redmail_sender.py"), lacks=_no_module("redmail"), share=_SLOW, share_delayed=0.01
    ),
    Sender(
        name=MAILMERGE,
        command=_python("mailmerge_client.py"),
        lacks=_no_module("mailmerge"),
        share=_SLOW,
        share_delayed=0.01,
    ),
    Sender(
        name=NODEMAILER,
        command=_node,
        lacks=_no_nodemailer,
        share=0.5,
        environment={"NODE_PATH": str(node_folder() / "node_modules")},
    ),
    Sender(name=LIMIT, command=_smtp_source, lacks=_no_smtp_source, tells=False),
    Sender(name=OURS, command=_ours(), targets=(*EVERYWHERE, NEAR), share_delayed=0.5),
    Sender(name=OURS_WINDOW, command=_ours("--window", "4"), targets=(FAST, DELAYED, NEAR), share_delayed=1.0),
    Sender(name=OURS_NO_LEDGER, command=_ours("--no-ledger"), targets=(NEAR, DELAYED), share_delayed=0.5),
    Sender(
        name=OURS_WINDOW_NO_LEDGER,
        command=_ours("--window", "4", "--no-ledger"),
        targets=(NEAR, DELAYED),
        share_delayed=1.0,
    ),
)
