"""Which people somebody means: by digest, status, tag, language, attribute."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from newsletter.model import Subscriber, SuppressionReason

#: The status of who is mailed.
ACTIVE = "active"
#: Any of the reasons there are not to mail a person.
SUPPRESSED = "suppressed"
STATUSES = (ACTIVE, SUPPRESSED, *(reason.value for reason in SuppressionReason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Conditions that all must hold; what is left out holds for everybody.

    `status` is one of STATUSES.  `language` is that of the person's letters: `de`
    finds de-AT too.  `attributes` are compared without case.
    """

    digest: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])

    def takes(self, person: Subscriber, reason: SuppressionReason | None, default_language: str) -> bool:
        """Whether a person is meant.

        Args:
            person: as the file has them.
            reason: why they are not mailed; None if they are.
            default_language: of who names none.
        """
        return (
            (self.digest is None or not person.digests or self.digest in person.digests)
            and (self.status is None or self.status in _statuses(reason))
            and set(self.tags) <= set(person.tags)
            and (self.language is None or _speaks(person.language or default_language, self.language))
            and all(
                person.attributes.get(key, "").casefold() == value.casefold() for key, value in self.attributes.items()
            )
        )


def status_of(reason: SuppressionReason | None) -> str:
    """The status of a person in one word: active, or why they are not mailed."""
    return ACTIVE if reason is None else reason.value


def _statuses(reason: SuppressionReason | None) -> tuple[str, ...]:
    return (ACTIVE,) if reason is None else (SUPPRESSED, reason.value)


def _speaks(language: str, wanted: str) -> bool:
    have, want = language.casefold(), wanted.casefold().replace("_", "-")
    return have == want or have.startswith(f"{want}-")
