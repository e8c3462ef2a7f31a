"""A Dovecot of one's own: one user, IMAPS and IMAP with STARTTLS on loopback, a maildir in a temporary folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

USER, PASSWORD = "wire@example.com", 'p"w \\%1'

_CONFIG = """
protocols = imap
base_dir = {folder}/run
instance_name = {folder}
log_path = {folder}/log
default_login_user = {login}
default_internal_user = {internal}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {plain}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls}
    ssl = yes
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A running server."""

    folder: Path
    tls: int
    plain: int
    ca_file: str

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    def put(self, *mails: bytes) -> None:
        """Deliver as a maildir wants it: complete when it appears."""
        for mail in mails:
            number = time.monotonic_ns()
            draft = self.mail / "tmp" / f"{number}.host"
            draft.write_bytes(mail)
            draft.rename(self.mail / "new" / draft.name)


def _free() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def dovecot(folder: Path) -> Iterator[Dovecot]:
    """Run it for as long as the block lasts; skips the test where it cannot run."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or not Path("/usr/lib/dovecot/imap").exists():
        pytest.skip("no Dovecot here: apt-get install dovecot-imapd")
    if os.geteuid() != 0:
        pytest.skip("Dovecot of Debian begins as root")
    import pwd

    try:
        internal = pwd.getpwnam("dovecot")
        pwd.getpwnam("dovenull")
    except KeyError:
        pytest.skip("Dovecot's users are not there")
    for name in ("", "new", "cur", "tmp"):
        (folder / "mail" / name).mkdir(exist_ok=True)
        shutil.chown(folder / "mail" / name, "mail", "mail")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(folder / "cert.pem"), append=number > 0)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "users").touch(mode=0o644)
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    server = Dovecot(folder, _free(), _free(), str(folder / "ca.pem"))
    config = folder / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            login="dovenull",
            internal="dovecot",
            group=_group(internal.pw_gid),
            plain=server.plain,
            tls=server.tls,
        )
    )
    running = subprocess.Popen([program, "-F", "-c", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 20
        while True:
            if running.poll() is not None or time.monotonic() > deadline:
                said = running.stderr.read() if running.stderr and running.poll() is not None else ""
                pytest.fail(f"Dovecot did not begin: {said} {_log(folder)}")
            try:
                socket.create_connection(("127.0.0.1", server.tls), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield server
    finally:
        running.terminate()
        running.wait(20)
        if running.stderr is not None:
            running.stderr.close()


def _group(gid: int) -> str:
    import grp

    return grp.getgrgid(gid).gr_name


def _log(folder: Path) -> str:
    log = folder / "log"
    return log.read_text(encoding="utf-8", errors="replace")[-1000:] if log.exists() else ""
