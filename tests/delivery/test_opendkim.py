"""OpenDKIM, which many receivers run, finds our signatures good, and any change of a message bad."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.delivery.dkim import Signer
from newsletter.model import Format
from tests.delivery.samples import RENDERING, delivery
from tests.delivery.signing import both, records
from tests.delivery.test_dkim import SHOWING, SIGNERS, build

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
SCRIPT = Path(__file__).with_name("opendkim.py")
NAMESPACE = ["unshare", "--mount", "--net"]


def judged(folder: Path, messages: list[bytes]) -> list[tuple[int, str]]:
    """What opendkim-testmsg says of each message: exit code and words."""
    if shutil.which("opendkim-testmsg", path=PATH) is None:
        pytest.skip("opendkim-testmsg is not installed (Debian: opendkim-tools)")
    environment = {**os.environ, "PATH": PATH}
    allowed = subprocess.run([*NAMESPACE, "true"], env=environment, capture_output=True, check=False)
    if allowed.returncode:
        pytest.skip("a network of our own for the name server needs root on Linux")
    (folder / "records.json").write_text(json.dumps(records(both())), encoding="utf-8")
    paths = []
    for number, raw in enumerate(messages):
        paths.append(folder / f"{number}.eml")
        paths[-1].write_bytes(raw)
    done = subprocess.run(
        [*NAMESPACE, sys.executable, str(SCRIPT), str(folder / "records.json"), *map(str, paths)],
        env=environment,
        capture_output=True,
        check=True,
        timeout=120,
    )
    return [(code, words) for code, words in json.loads(done.stdout)]


@SIGNERS
def test_opendkim_finds_our_signatures_good(tmp_path: Path, signers: tuple[Signer, ...]) -> None:
    messages = [
        build(rendering, wanted, signers, base_url=base_url).message(delivery(name=name))
        for rendering in (RENDERING, SHOWING)
        for wanted in Format
        for base_url in ("https://wire.example.com", None)
        for name in ("Ada Lovelace", "Žofie «ß» 東京", "")
    ]

    assert [(0, "")] * len(messages) == judged(tmp_path, messages)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a word of the text": lambda raw: raw.replace(b"Good morning", b"Good evening"),
    "a second way out": lambda raw: b"List-Unsubscribe: <https://evil.example/>\r\n" + raw,
    "a text below": lambda raw: raw + b"More.\r\n",
    "another reader": lambda raw: raw.replace(b"\r\nTo: Ada", b"\r\nTo: Bob"),
}


@SIGNERS
def test_opendkim_finds_every_change(tmp_path: Path, signers: tuple[Signer, ...]) -> None:
    raw = build(signers=signers).message(delivery())
    changed = [change(raw) for change in CHANGES.values()]
    assert raw not in changed

    codes = [code for code, _ in judged(tmp_path, [raw, *changed])]

    assert 0 == codes[0]
    assert [] == [name for name, code in zip(CHANGES, codes[1:], strict=True) if code == 0]
