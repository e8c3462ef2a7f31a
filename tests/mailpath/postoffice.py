"""Postfix, OpenDKIM and Dovecot as Debian ships them, each an instance of our own on loopback.

    we ──STARTTLS, AUTH──▶ Postfix ──milter──▶ OpenDKIM: is it signed?
                              │
                              └──LMTP──▶ Dovecot ──IMAP──▶ back to us

Postfix takes mail for everybody at `DOMAIN` and knows nobody; Dovecot knows
who has a mailbox.  So a message to somebody else is accepted and bounces later.
All files are in one folder, all ports on 127.0.0.1, and the system's own
services, if there are any, stay untouched.
"""

import imaplib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

DOMAIN = "example.com"
PASSWORD = "correct horse battery staple"
#: As Debian names them: the program, and the package it comes in.
PROGRAMS = {"postfix": "postfix", "opendkim": "opendkim", "dovecot": "dovecot-imapd and dovecot-lmtpd"}
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
#: Where OpenDKIM writes what it found, in the name of the receiving side.
RECEIVER = "far.test"
#: Seconds until something that must come is given up.
PATIENCE = 60.0

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.far.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_error_sleep_time = 0
smtpd_tls_security_level = encrypt
smtpd_tls_chain_files = {folder}/server.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/dovecot/postfix-auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_policy_service unix:{folder}/policy
smtpd_milters = unix:{folder}/opendkim.sock
milter_default_action = tempfail
virtual_mailbox_domains = {domain}
virtual_transport = lmtp:unix:{folder}/dovecot/lmtp
"""
#: service, kind, private, unprivileged, chroot, wakeup, most processes, program
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_OPENDKIM = """\
Mode v
Background no
Syslog no
UMask 000
Socket local:{folder}/opendkim.sock
PidFile {folder}/opendkim.pid
AuthservID {receiver}
AlwaysAddARHeader yes
InternalHosts file:{folder}/nobody
TestDNSData file:{folder}/dns
"""
_DOVECOT = """\
base_dir = {folder}/dovecot
state_dir = {folder}/dovecot
log_path = {folder}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
auth_failure_delay = 0
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%n
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0600
    user = postfix
  }}
}}
service auth {{
  unix_listener postfix-auth {{
    mode = 0600
    user = postfix
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def missing() -> str | None:
    """Why there can be no post office on this machine; None if there can."""
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program, path=PATH) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}"
    for protocol in ("imap", "lmtp"):
        if not Path(f"/usr/lib/dovecot/{protocol}").exists():
            return f"not installed: dovecot-{protocol}d"
    command = ["dovecot", "--version"]
    version = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, check=True).stdout.strip()
    if not version.startswith("2.3."):
        return f"Dovecot {version} reads other settings than 2.3, for which these are"
    return None if os.geteuid() == 0 else "Postfix and Dovecot change to users of their own, which only root may"


def until(what: str, found: Callable[[], bool]) -> None:
    """Wait until it is so.

    Raises:
        TimeoutError: it never was.
    """
    end = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:g} s for {what}")
        time.sleep(0.02)


#: What a policy says of a recipient: an action of Postfix's access tables, "dunno" for no objection.
Policy = Callable[[str], str]


@dataclass
class Postoffice:
    """The three of them, running.

    `policy` is asked about every recipient before he is accepted, as greylisting
    is (Postfix's SMTPD_POLICY_README).
    """

    folder: Path
    port: int
    imap_port: int
    ca_file: Path
    policy: Policy = lambda _: "dunno"

    def mailbox(self, name: str) -> list[bytes]:
        """The messages that somebody has got, over IMAP, as they were stored, oldest first."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port) as imap:
            imap.login(f"{name}@{DOMAIN}", PASSWORD)
            imap.select("INBOX", readonly=True)
            _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in found if isinstance(part, tuple)]

    def arrived(self, name: str, count: int = 1) -> list[bytes]:
        """The same, once there are so many."""
        found: list[bytes] = []

        def enough() -> bool:
            found[:] = self.mailbox(name)
            return len(found) >= count

        until(f"{count} messages for {name}", enough)
        return found

    def settle(self) -> None:
        """Wait until Postfix has nothing on its hands any more."""
        queues = [self.folder / "spool" / name for name in ("incoming", "active", "deferred", "maildrop")]
        until("Postfix's queue to be empty", lambda: not any(any(queue.iterdir()) for queue in queues))

    @contextmanager
    def listening(self) -> Iterator[dict[str, int]]:
        """Count the commands of the sessions that end before the block does; Postfix logs them as it hangs up."""
        log = self.folder / "mail.log"
        start = log.stat().st_size
        counted: dict[str, int] = {}
        yield counted

        def sessions(verb: str) -> list[bytes]:
            return re.findall(rb" %s from .*" % verb.encode(), log.read_bytes()[start:])

        until("all sessions to be over", lambda: len(sessions("connect")) == len(sessions("disconnect")))
        for line in sessions("disconnect"):
            for name, count in re.findall(rb"([a-z]+)=(\d+)", line):
                counted[name.decode()] = counted.get(name.decode(), 0) + int(count)


@contextmanager
def postoffice(folder: Path, people: Sequence[str], records: Mapping[str, str]) -> Iterator[Postoffice]:
    """Run one for as long as the block lasts.

    Args:
        folder: empty; the users of all three programs must be able to pass.
        people: who has a mailbox, by local part.
        records: what the DNS has, for OpenDKIM.
    """
    port, imap_port = _free_ports(2)
    names = {"folder": folder, "domain": DOMAIN, "receiver": RECEIVER}
    for name in ("postfix", "spool", "data", "dovecot", "mail"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    shutil.chown(folder / "mail", "mail", "mail")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "postfix" / "main.cf").write_text(_MAIN.format(**names))
    (folder / "postfix" / "master.cf").write_text(_MASTER.format(port=port))
    (folder / "opendkim.conf").write_text(_OPENDKIM.format(**names))
    (folder / "nobody").write_text("192.0.2.1\n")
    (folder / "dns").write_text("".join(f"{name.rstrip('.')} {text}\n" for name, text in records.items()))
    (folder / "dovecot.conf").write_text(_DOVECOT.format(**names, port=imap_port))
    (folder / "users").write_text("".join(f"{name}@{DOMAIN}:{{PLAIN}}{PASSWORD}::::::\n" for name in people))
    office = Postoffice(folder=folder, port=port, imap_port=imap_port, ca_file=folder / "ca.pem")
    with ExitStack() as stack:
        stack.enter_context(_policy_service(office))
        stack.enter_context(_running(folder, "opendkim", ["opendkim", "-f", "-x", f"{folder}/opendkim.conf"]))
        stack.enter_context(_running(folder, "dovecot", ["dovecot", "-F", "-c", f"{folder}/dovecot.conf"]))
        stack.enter_context(_postfix(folder))
        until("OpenDKIM", (folder / "opendkim.sock").exists)
        until("Dovecot", lambda: _listens(imap_port))
        until("Postfix", lambda: _listens(port))
        yield office


@contextmanager
def _running(folder: Path, name: str, command: list[str]) -> Iterator[None]:
    """A program, for as long as the block lasts; what it says is in NAME.out."""
    with (folder / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": PATH},
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _postfix(folder: Path) -> Iterator[None]:
    """Postfix makes a daemon of itself, whatever one asks for."""

    def postfix(command: str) -> None:
        environment = {**os.environ, "PATH": PATH}
        done = subprocess.run(
            ["postfix", "-c", f"{folder}/postfix", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    postfix("start")
    pid = int((folder / "spool" / "pid" / "master.pid").read_text())
    try:
        yield
    finally:
        postfix("abort")
        until("Postfix to end", lambda: not Path(f"/proc/{pid}").exists())


@contextmanager
def _policy_service(office: Postoffice) -> Iterator[None]:
    """Answer Postfix's questions about recipients as `office.policy` says."""
    path = office.folder / "policy"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o666)
    server.listen()

    def talk(client: socket.socket) -> None:
        with client, client.makefile("rwb") as stream:
            request: dict[str, str] = {}
            for line in stream:
                name, equals, value = line.decode().rstrip("\n").partition("=")
                if equals:
                    request[name] = value
                    continue
                stream.write(f"action={office.policy(request['recipient'])}\n\n".encode())
                stream.flush()
                request = {}

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(client,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in servers]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
