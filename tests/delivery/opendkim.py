"""Give messages to OpenDKIM in a network of its own, with a name server that knows a few keys.

    unshare --mount --net python tests/delivery/opendkim.py RECORDS.json MESSAGE…

Prints, as JSON, what opendkim-testmsg said of each message: its exit code and
its words.  RECORDS.json maps names to texts.  Nothing leaves the machine: the
new network has a loopback and nothing else.
"""

import fcntl
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

_SIOCSIFFLAGS, _UP = 0x8914, 0x1
_TXT = 16


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP) + bytes(14))


def ask_ourselves(folder: Path) -> None:
    """Let every look-up of a name come to this process, in this mount namespace only."""
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(resolv), "/etc/resolv.conf"], check=True)


def answer(query: bytes, records: dict[str, str]) -> bytes:
    """A reply to one question (RFC 1035 §4): the text, or that there is none."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    end = at + 5
    (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
    text = records.get(".".join(labels) + ".", "").encode() if kind == _TXT else b""
    strings = b"".join(bytes([len(text[at : at + 255])]) + text[at : at + 255] for at in range(0, len(text), 255))
    found = bool(strings)
    head = query[:2] + struct.pack("!HHHHH", 0x8580 if found else 0x8583, 1, int(found), 0, 0)
    resource = struct.pack("!HHHIH", 0xC00C, _TXT, 1, 60, len(strings)) + strings if found else b""
    return head + query[12:end] + resource


def serve(records: dict[str, str]) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def talk() -> None:
        while True:
            query, who = server.recvfrom(4096)
            server.sendto(answer(query, records), who)

    threading.Thread(target=talk, daemon=True).start()


def main() -> None:
    records = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    loopback_up()
    with tempfile.TemporaryDirectory() as folder:
        ask_ourselves(Path(folder))
        serve(records)
        verdicts = []
        for message in sys.argv[2:]:
            done = subprocess.run(
                ["opendkim-testmsg", "-t", folder],
                input=Path(message).read_bytes(),
                capture_output=True,
                check=False,
                timeout=60,
            )
            verdicts.append([done.returncode, (done.stdout + done.stderr).decode(errors="replace")])
        print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
