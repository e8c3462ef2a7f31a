"""The post office, started once, and a project that mails through it."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from newsletter.delivery.keys import PrivateKey
from tests.cli.conftest import Done, Web, call
from tests.delivery.signing import both, ed25519_key, records, rsa_key
from tests.mailpath.postoffice import DOMAIN, PASSWORD, Postoffice, missing
from tests.mailpath.postoffice import postoffice as running

#: Who has a mailbox: the sender, two people, and many.
PEOPLE = ("wire", "ada", "grace", *(f"reader{number}" for number in range(24)))


@pytest.fixture(scope="session")
def started() -> Iterator[Postoffice]:
    if (reason := missing()) is not None:
        pytest.skip(f"no mail path here: {reason}")
    # Not pytest's folder: that is closed to Postfix's and Dovecot's users.
    with tempfile.TemporaryDirectory(prefix="newsletter-mail-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder, PEOPLE, records(both())) as office:
            yield office


@dataclass
class Project:
    """A project that signs with both kinds of keys, and the post office it mails through."""

    folder: Path
    web: Web
    office: Postoffice

    @property
    def environment(self) -> dict[str, str]:
        """The password, and whose certificates to trust."""
        return {"NEWSLETTER_SMTP_PASSWORD": PASSWORD, "SSL_CERT_FILE": str(self.office.ca_file)}

    def __call__(self, *words: str, **environment: str) -> Done:
        return call(*words, cwd=self.folder, **{**self.environment, **environment})

    def configure(self, *people: str, more: str = "") -> None:
        """Write the project's files; `people` are entries of subscribers.yaml or local parts, `more` is for `smtp`."""
        feed = self.web.feed("/feed.xml", "The ferry sails again", ".A dot leads", "Žofie «ß» 東京")
        keys = "".join(
            f"{{domain: {DOMAIN}, selector: {name}, key_file: {_key_file(self.folder, name, key)}}}, "
            for name, key in (("rsa", rsa_key()), ("ed25519", ed25519_key()))
        )
        (self.folder / "newsletter.yaml").write_text(
            "title: The Morning Wire\n"
            f"from: The Morning Wire <wire@{DOMAIN}>\n"
            f"base_url: https://wire.{DOMAIN}\n"
            f"feeds:\n  - {{url: {feed}, allow_private: true}}\n"
            f"smtp: {{host: localhost, port: {self.office.port}, tls: starttls, username: wire@{DOMAIN}, "
            f"dkim: [{keys}], {more}}}\n",
            encoding="utf-8",
        )
        lines = (f"- {one}\n" if "@" in one else f"- {one}@{DOMAIN}\n" for one in people)
        (self.folder / "subscribers.yaml").write_text("".join(lines), encoding="utf-8")

    def rows(self) -> dict[str, dict[str, object]]:
        """By local part, what has become of each message."""
        found = self("delivery", "list", "--json", "--limit", "1000").data
        return {row["email"].partition("@")[0]: row for row in found}

    def received(self, name: str, *, to: str | None = None) -> list[bytes]:
        """What somebody has got of this project's messages to him, or to somebody else."""
        self.office.settle()
        ours = f"Message-ID: <{self.rows()[to or name]['message_id']}>".encode()
        return [raw for raw in self.office.mailbox(name) if ours in raw]

    def copies(self) -> dict[str, int]:
        """How often each person of the outbox has got this project's message."""
        self.office.settle()
        return {
            name: sum(f"Message-ID: <{row['message_id']}>".encode() in raw for raw in self.office.mailbox(name))
            for name, row in self.rows().items()
        }

    def letter(self, name: str) -> bytes:
        """Issue 1 as the outbox has it for somebody, whole."""
        done = self("preview", "--issue", "1", "--as", f"{name}@{DOMAIN}", "--out", f"seen-{name}")
        assert 0 == done.code, done.err
        return (self.folder / f"seen-{name}" / "issue.eml").read_bytes()


def _key_file(folder: Path, name: str, key: PrivateKey) -> str:
    path = folder / f"{name}.pem"
    path.write_bytes(key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path.name


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


@pytest.fixture
def project(started: Postoffice, web: Web, tmp_path: Path) -> Iterator[Project]:
    """A project of its own for each test; what others have sent stays in the mailboxes."""
    folder = tmp_path / "wire"
    folder.mkdir()
    yield Project(folder, web, started)
    started.policy = lambda _: "dunno"
    started.settle()
