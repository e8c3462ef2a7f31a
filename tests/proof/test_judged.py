"""`check` has nothing to say of a letter of ours, in any theme, whatever the feeds hold."""

from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.app.letters import Letter
from newsletter.issues.check import Level, judge
from tests.proof.letters import nasty_letter, sample_letter


@pytest.mark.parametrize("theme", ["default", "compact", "plain"])
@pytest.mark.parametrize("build", [sample_letter, nasty_letter], ids=["sample", "nasty"])
def test_a_letter_has_no_faults(build: Callable[[Path, str], Letter], theme: str, tmp_path: Path) -> None:
    found = judge(build(tmp_path, theme).message)

    assert [] == [(f.rule, f.what, f.where) for f in found if f.level is not Level.ok]
