"""`check --online`, the doctor: what is wrong around the project, each with what to do about it."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from newsletter.app import App
from newsletter.app.check import Finding, Level, check
from newsletter.app.check.dns import records
from newsletter.app.check.mail import certificate
from newsletter.app.check.schedules import schedules, strays
from newsletter.app.check.state import rights, room, store
from newsletter.app.installing import installation
from newsletter.delivery.dkim import Signer
from newsletter.delivery.keys import parse_key
from newsletter.delivery.published import LookUp, published
from newsletter.errors import NewsletterError
from newsletter.feeds.manners import ahead_of
from tests.cli.conftest import Wire
from tests.conftest import FakeClock

Zone = Mapping[tuple[str, str], Sequence[str]]


class Names:
    """A DNS server on loopback that knows a few names."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers = ["127.0.0.1"]
        self.resolver.port = self._socket.getsockname()[1]

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        return records(self.resolver, name, kind)

    def _serve(self) -> None:
        while True:
            wire, address = self._socket.recvfrom(4096)
            if wire == b"end":
                return
            query = dns.message.from_wire(wire)
            question = query.question[0]
            name = question.name.to_text().rstrip(".").lower()
            answer = dns.message.make_response(query)
            found = self.zone.get((name, dns.rdatatype.to_text(question.rdtype)))
            if found:
                texts = [text if text.startswith('"') or text[0].isdigit() else f'"{text}"' for text in found]
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *texts))
            elif not any(known == name for known, _ in self.zone):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(answer.to_wire(), address)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def names() -> Iterator[Names]:
    with closing(Names()) as server:
        yield server


@pytest.fixture(scope="module")
def pem() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def signer(pem: bytes) -> Signer:
    return Signer(domain="wire.example", selector="news", key=parse_key(pem))


@pytest.fixture(scope="module")
def whole(signer: Signer) -> dict[tuple[str, str], list[str]]:
    """A zone in which all is well."""
    record: str = signer.key.record()  # type: ignore[attr-defined]
    return {
        ("wire.example", "TXT"): ["v=spf1 include:provider.example -all", "something else"],
        ("provider.example", "TXT"): ["v=spf1 ip4:192.0.2.1 ~all"],
        ("news._domainkey.wire.example", "TXT"): [f'"{record[:200]}" "{record[200:]}"'],
        ("_dmarc.wire.example", "TXT"): ["v=DMARC1; p=reject; rua=mailto:d@wire.example"],
        ("wire.example", "A"): ["192.0.2.1"],
    }


def test_a_sender_for_whom_the_dns_speaks_has_nothing_to_do(names: Names, signer: Signer, whole: Zone) -> None:
    names.zone.update({key: list(value) for key, value in whole.items()})

    found = list(published("wire.example", "wire.example", [signer], names.look_up))

    assert [""] * 3 == [said.hint for said in found]
    assert "DMARC of wire.example: p=reject, aligned by SPF (wire.example), DKIM (wire.example)" == found[-1].text


def looked_up(zone: Zone) -> LookUp:
    return lambda name, kind: [text.replace('" "', "").strip('"') for text in zone.get((name, kind), ())]


@pytest.mark.parametrize(
    ("change", "words", "hint", "is_grave"),
    [
        ({("wire.example", "TXT"): []}, "has no SPF record", "include:PROVIDER -all", False),
        ({("wire.example", "TXT"): ["v=spf1 -all", "v=spf1 a -all"]}, "has 2 SPF records", "make one", True),
        ({("wire.example", "TXT"): ["v=spf1 +all"]}, "lets every machine in the world send", "-all", True),
        ({("wire.example", "TXT"): ["v=spf1 include:gone.example -all"]}, "includes gone.example", "correct", True),
        (
            {("wire.example", "TXT"): ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(11)) + " -all"]},
            "needs 11 look-ups, and receivers stop at 10",
            "take out",
            True,
        ),
        ({("wire.example", "TXT"): ["v=spf1 include:wire.example -all"]}, "", "", False),
        ({("news._domainkey.wire.example", "TXT"): []}, "is not in the DNS", "publish: news._domainkey", True),
        (
            {("news._domainkey.wire.example", "TXT"): ["v=DKIM1; k=rsa; p=MIGf"]},
            "another key at news._domainkey.wire.example than",
            "publish: news._domainkey",
            True,
        ),
        ({("news._domainkey.wire.example", "TXT"): ["v=DKIM1; p="]}, "is revoked", "new one", True),
        ({("_dmarc.wire.example", "TXT"): []}, "has no DMARC record", "p=none; rua=mailto:", False),
        ({("_dmarc.wire.example", "TXT"): ["v=DMARC1; rua=mailto:x@y"]}, "no policy that receivers know", "p=", True),
        ({("wire.example", "A"): []}, "receives no mail", "MX record", False),
    ],
)
def test_what_receivers_would_not_accept_is_said_with_its_fix(
    signer: Signer, whole: Zone, *, change: Zone, words: str, hint: str, is_grave: bool
) -> None:
    found = list(published("wire.example", "wire.example", [signer], looked_up({**whole, **change})))

    wrong = [said for said in found if said.hint]
    assert (len(wrong) == 1) is bool(words), found
    for said in wrong:
        assert words in said.text
        assert hint in said.hint
        assert is_grave is said.is_grave


def test_a_letter_that_nobody_aligned_speaks_for_is_refused_by_its_own_policy(signer: Signer, whole: Zone) -> None:
    zone = {**whole, ("mail.example", "TXT"): ["v=spf1 -all"], ("_dmarc.other.example", "TXT"): ["v=DMARC1; p=reject"]}
    zone["other.example", "A"] = ["192.0.2.1"]

    unaligned = list(published("other.example", "mail.example", [signer], looked_up(zone)))
    below = list(
        published(
            "news.wire.example",
            "bounce.wire.example",
            [signer],
            looked_up(
                {**zone, ("bounce.wire.example", "TXT"): ["v=spf1 -all"], ("news.wire.example", "MX"): ["10 mx."]}
            ),
        )
    )
    strict = list(
        published(
            "news.wire.example",
            "wire.example",
            [],
            looked_up({**zone, ("_dmarc.wire.example", "TXT"): ["v=DMARC1; p=reject; aspf=s"]}),
        )
    )

    assert "neither SPF nor DKIM" in unaligned[-1].text
    assert "receivers will reject the letter" in unaligned[-1].text
    assert unaligned[-1].is_grave
    assert "DMARC of wire.example: p=reject, aligned by SPF (bounce.wire.example), DKIM (wire.example)" in [
        said.text for said in below
    ]
    assert [] == [said for said in strict if "aligned by" in said.text]


def test_a_dns_that_does_not_answer_is_one_finding_and_no_crash(signer: Signer) -> None:
    def silent(name: str, kind: str) -> Sequence[str]:
        raise NewsletterError(f"the DNS does not answer for {name}", hint="look at the resolver")

    found = list(published("wire.example", "wire.example", [signer], silent))

    assert ["the DNS does not answer for wire.example"] == [said.text for said in found]


# ------------------------------------------------------------------------- the whole


def test_the_doctor_looks_at_everything_and_changes_nothing(wire: Wire, names: Names, whole: Zone, pem: bytes) -> None:
    names.zone.update({key: list(value) for key, value in whole.items()})
    (wire.folder / "dkim.pem").write_bytes(pem)
    (wire.folder / "dkim.pem").chmod(0o600)
    wire.web.pages["/healthz"] = (200, b"ok\n")
    wire.configure(
        wire.web.feed("/rss", "First"),
        more=f"base_url: {wire.web.url}\n",
        smtp=f"{{host: 127.0.0.1, port: {wire.mail.port}, tls: none, "
        "dkim: {domain: wire.example, selector: news, key_file: dkim.pem}}",
    )
    (wire.folder / "newsletter.yaml").write_text(
        (wire.folder / "newsletter.yaml").read_text().replace("wire@example.com", "wire@wire.example")
    )
    (wire.folder / "subscribers.yaml").chmod(0o600)
    assert 0 == wire("fetch").code
    files = {path: path.stat().st_mtime_ns for path in wire.folder.rglob("*.yaml")}

    with closing(App.open(wire.folder)) as app:
        found = check(app, online=True, look_up=names.look_up)

    said = {(one.what, one.level) for one in found}
    assert {("dns", Level.ok), ("clock", Level.ok), ("disk", Level.ok), ("store", Level.ok), ("mail", Level.ok)} <= said
    # Loopback pages have no https, and so no one click: that is all.
    assert {"pages", "daily"} == {one.what for one in found if one.level is not Level.ok}, found
    assert [] == wire.inbox()
    assert files == {path: path.stat().st_mtime_ns for path in wire.folder.rglob("*.yaml")}


def test_a_reserved_domain_is_not_asked_for(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))

    done = wire("check", "--online", "--json")

    assert ["not asked: example.com is a reserved domain, in no DNS"] == [
        one["text"] for one in done.data if one["what"] == "dns"
    ]


def test_a_clock_that_disagrees_with_the_servers_is_named(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    clock = FakeClock(datetime.now(UTC) - timedelta(days=1, minutes=5))

    with closing(App.open(wire.folder, clock=clock)) as app:
        [found] = [one for one in check(app, online=True) if one.what == "clock"]

    assert Level.error is found.level
    assert found.text.startswith("this machine's clock is 1 day, 0:0")
    assert "behind, by what 1 server says" in found.text


def test_what_comes_out_of_a_cache_tells_no_time() -> None:
    now = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    date = "Mon, 02 Mar 2026 07:10:00 GMT"

    assert timedelta(minutes=10) == ahead_of({"Date": date}, now=now)
    assert None is ahead_of({"Date": date, "Age": "600"}, now=now)
    assert None is ahead_of({"Date": "soon"}, now=now)


def test_a_certificate_that_ends_soon_is_a_warning() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)

    assert Level.ok is certificate("mail.example", now + timedelta(days=60), now, what="mail").level
    soon = certificate("mail.example", now + timedelta(days=3, hours=1), now, what="mail")
    assert (Level.warning, "the certificate of mail.example ends on 2026-03-05, in 3 days") == (soon.level, soon.text)


# ---------------------------------------------------------------------- the machine


@pytest.fixture
def look(wire: Wire) -> Callable[..., list[Finding]]:
    def run(part: Callable[[App], Iterator[Finding]], clock: FakeClock | None = None) -> list[Finding]:
        with closing(App.open(wire.folder, clock=clock)) as app:
            return [one for one in part(app) if one.level is not Level.ok]

    return run


def test_files_that_others_may_read_are_named_with_the_command(wire: Wire, look: Callable[..., list[Finding]]) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("fetch")
    state = wire.folder / ".newsletter"
    (wire.folder / "subscribers.yaml").chmod(0o600)
    assert [] == look(rights)
    state.chmod(0o755)
    (state / "newsletter.db").chmod(0o644)
    (wire.folder / "newsletter.yaml").chmod(0o666)

    found = look(rights)

    assert ["chmod 600", "chmod 700", "chmod go-w"] == [(one.hint or "").rpartition(" ")[0] for one in found]
    assert "which can name commands to run" in found[-1].text


def test_a_disk_that_is_nearly_full_is_noticed_before_a_send(
    wire: Wire, look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    assert [] == look(room)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))

    [found] = look(room)

    assert (Level.error, "3 MB are left where the database is (0 MB)") == (found.level, found.text)


def test_a_clock_that_was_set_back_is_said(wire: Wire, look: Callable[..., list[Finding]]) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("fetch")

    [found] = look(store, FakeClock(datetime.now(UTC) - timedelta(days=1)))

    assert ("clock", Level.warning) == (found.what, found.level)
    assert "the clock was set back; no slot that is over comes again" in found.text
    assert [] == look(store)


def test_odd_schedules_are_noticed(wire: Wire, look: Callable[..., list[Finding]]) -> None:
    digests = (
        "digests:\n  daily: {schedule: daily 07:00}\n  weekly: {schedule: 'sun 07:00'}\n"
        "  leap: {schedule: '0 7 29 2 *'}\n  noon: {schedule: daily 12:00}\n"
    )
    wire.configure(wire.web.feed("/rss", "First"), more=digests)

    found = look(schedules, FakeClock())

    assert ["leap", "weekly", "schedule"] == [one.what for one in found]
    assert "the schedule 0 7 29 2 * comes first on 2028-02-29 07:00" == found[0].text
    assert "daily and weekly both go out at 2026-03-08 07:00, and share 1 feed" in found[1].text
    assert "nobody has looked at the schedule of daily yet" in found[2].text
    assert "newsletter schedule install" in (found[2].hint or "")


def test_a_timer_that_points_to_another_place_is_noticed(
    wire: Wire, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = wire.folder.with_name('odd "100%" $name')
    wire.folder.rename(folder)
    wire.folder = folder
    wire.configure(wire.web.feed("/rss", "First"), more="digests:\n  daily: {schedule: daily 07:00}\n")
    with closing(App.open(folder)) as app:
        for path, text in installation(app.config, "systemd").files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    assert [] == look(schedules)
    assert [] == look(strays)
    path.write_text(text + "# edited\n")
    [edited] = look(schedules)
    assert "was made for another place of the program or the project" in edited.text
    path.write_text(text)
    moved = folder.with_name("moved")
    folder.rename(moved)
    wire.folder = moved
    [stray] = look(strays)
    assert f"looks after {folder}, where there is no project any more" in stray.text
    assert "systemctl --user disable --now" in (stray.hint or "")
    assert "neither a timer nor a crontab line" in look(schedules)[0].text


def test_a_crontab_line_is_read_as_it_was_written(
    wire: Wire, look: Callable[..., list[Finding]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table"
    crontab = tmp_path / "crontab"
    crontab.write_text(f"#!/bin/sh\n/bin/cat {table}\n")
    crontab.chmod(0o755)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = wire.folder.with_name("it's 100% mine")
    wire.folder.rename(folder)
    wire.folder = folder
    wire.configure(wire.web.feed("/rss", "First"), more="digests:\n  daily: {schedule: daily 07:00}\n")
    with closing(App.open(folder)) as app:
        line = installation(app.config, "cron").line
    table.write_text(f"MAILTO=me\n{line}\n")

    assert [] == look(schedules) == look(strays)
    table.write_text(f"{line.replace('*/5', '*/9')}\n")
    assert "made for another place" in look(schedules)[0].text
    folder.rename(tmp_path / "moved")
    wire.folder = tmp_path / "moved"
    assert f"looks after {folder}" in look(strays)[0].text
