"""The last look at a letter: its built bytes, judged as mail servers, clients and readers will.

    structure   bytes, MIME parts, sizes, the way out      headers    what the header says
    outline     the HTML as a document                     links      where links lead
    contrast    whether it can be read, light and dark     clients    what some clients lack
    hosts       whom an opened letter calls                smells     what filters distrust

`judge` is pure: bytes in, findings out.  The sources of the rules: RFC 5322,
2045-2047, 2369, 2919 and 8058, WCAG 2.2, and what caniemail.com has measured.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from newsletter.issues.check.clients import check_clients
from newsletter.issues.check.contrast import check_contrast
from newsletter.issues.check.finding import Finding, Level
from newsletter.issues.check.headers import check_headers
from newsletter.issues.check.hosts import check_hosts
from newsletter.issues.check.links import check_links
from newsletter.issues.check.outline import check_outline
from newsletter.issues.check.reading import Letter, read
from newsletter.issues.check.smells import check_smells
from newsletter.issues.check.structure import check_structure

__all__ = ["Finding", "Level", "judge"]

_RULES: Final[tuple[Callable[[Letter], Iterator[Finding]], ...]] = (
    check_structure,
    check_headers,
    check_outline,
    check_links,
    check_contrast,
    check_clients,
    check_hosts,
    check_smells,
)
#: A fault in a template shows at every entry; a person needs to see it a few times.
_REPEATS: Final = 5


def judge(raw: bytes) -> list[Finding]:
    """Judge a built message, errors first.

    Args:
        raw: the message as it would go to the server.

    Returns:
        what was found; of one rule and level at most five, the last of which
        says how many more there are.
    """
    letter = read(raw)
    found = [finding for rule in _RULES for finding in rule(letter)]
    found.sort(key=lambda finding: -finding.level)
    totals = Counter((finding.level, finding.rule) for finding in found)
    counts: Counter[tuple[Level, str]] = Counter()
    kept = []
    for finding in found:
        kind = (finding.level, finding.rule)
        counts[kind] += 1
        if counts[kind] < _REPEATS or totals[kind] == _REPEATS:
            kept.append(finding)
        elif counts[kind] == _REPEATS:
            more = totals[kind] - _REPEATS
            kept.append(
                Finding(
                    level=finding.level,
                    rule=finding.rule,
                    what=f"{finding.what} (and {more} more like it)",
                    where=finding.where,
                    why=finding.why,
                    fix=finding.fix,
                )
            )
    return kept
