"""What templates see of a subscriber: fields that can be printed, and asked about.

Printing a field writes a merge token.  A template may also *decide* on one:
what it learns is recorded as questions and answers (`Reader.trace`).  Two people
with the same answers get the same rendering, so `{{ subscriber.name or "friend" }}`
costs two renderings, not one per person.  Without a subscriber at hand a question
raises `LogicOnSubscriber`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from newsletter.issues.merge import (
    URL_FIELDS,
    LogicOnSubscriber,
    PersonalUrls,
    field_of,
    field_value,
    make_token,
    split,
    token_pattern,
    write,
)
from newsletter.model import Subscriber


@dataclass(frozen=True, slots=True)
class Question:
    """One thing a template wanted to know: whether a field is set, equals something, or what it holds."""

    about: str
    field: str = ""
    operand: str = ""

    def answer(self, subscriber: Subscriber) -> bool | str | tuple[str, ...]:
        """What this person's data say."""
        if self.about == "keys":
            return tuple(subscriber.attributes)
        value = field_value(self.field, subscriber)
        if self.about == "set":
            return bool(value)
        if self.about == "equals":
            return value == self.operand
        return value


class Reader:
    """The person an issue is rendered for, as templates see them; None stands for everybody.

    Args:
        token: the issue's merge token.
        subscriber: the person, or None: then every question raises `LogicOnSubscriber`.
        urls: which of the personal addresses there are; their values stay unknown until a message is composed.
        literal: print the subscriber's values instead of tokens.
    """

    def __init__(self, token: str, subscriber: Subscriber | None, urls: PersonalUrls, *, literal: bool = False) -> None:
        self.token = token
        self.trace: dict[Question, bool | str | tuple[str, ...]] = {}
        self._subscriber = subscriber
        self._urls = urls
        self._literal = literal

    def ask(self, question: Question) -> bool | str | tuple[str, ...]:
        """Answer a question and remember that it was asked.

        Raises:
            LogicOnSubscriber: there is no subscriber to answer for.
            TypeError: the value of an address is asked for; it differs from message to message.
        """
        if question.field in URL_FIELDS:
            if question.about == "set":
                return bool(getattr(self._urls, question.field))
            raise TypeError(f"{question.field} can be printed and tested for being there, nothing else")
        if self._subscriber is None:
            raise LogicOnSubscriber(
                f"a template decides on {question.field or 'subscriber.attributes'}, which differs per subscriber"
            )
        answer = question.answer(self._subscriber)
        self.trace[question] = answer
        return answer

    def value(self, field: str) -> str:
        """What the field holds; a question like any other."""
        return str(self.ask(Question("value", field)))

    def written(self, field: str, kind: str) -> str:
        """What a template prints for a field: its token, or its value if it must be literal."""
        if self._literal and field not in URL_FIELDS:
            # "h" is escaped by the template itself, as the value of any other expression.
            return write(self.value(field), kind if kind in "jm" else "t")
        if field in URL_FIELDS and not getattr(self._urls, field):
            return ""
        return make_token(self.token, field, kind)

    def filled(self, text: str) -> str:
        """A text with this person's values for the tokens that an earlier part put into it."""
        return token_pattern(self.token).sub(lambda found: self.value(field_of(found)), text)


class Merged:
    """A text that is not known while the issue is rendered: it can be printed, and asked about.

    Everything Python or Jinja does with it other than printing goes through
    `_value`, and so is a question about the subscriber.
    """

    __slots__ = ("_reader",)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def _printed(self, kind: str) -> str:
        raise NotImplementedError

    def _value(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self._value()

    def __bool__(self) -> bool:
        return bool(self._value())

    def __eq__(self, other: object) -> bool:
        return self._value() == plain(other)

    def __hash__(self) -> int:
        return hash(self._value())

    def __lt__(self, other: object) -> bool:
        return self._value() < str(other)

    def __le__(self, other: object) -> bool:
        return self._value() <= str(other)

    def __gt__(self, other: object) -> bool:
        return self._value() > str(other)

    def __ge__(self, other: object) -> bool:
        return self._value() >= str(other)

    def __len__(self) -> int:
        return len(self._value())

    def __iter__(self) -> Iterator[str]:
        return iter(self._value())

    def __contains__(self, part: object) -> bool:
        return str(part) in self._value()

    def __getitem__(self, key: int | slice) -> str:
        return self._value()[key]

    def __add__(self, other: object) -> str:
        return self._value() + str(other)

    def __radd__(self, other: object) -> str:
        return str(other) + self._value()

    def __mod__(self, other: object) -> str:
        return self._value() % other

    def __format__(self, spec: str) -> str:
        return format(self._value(), spec)

    def __getattr__(self, name: str) -> object:
        # The methods of text: subscriber.name.split()[0]
        if name.startswith("_"):
            raise AttributeError(name)
        if not hasattr(str, name):
            raise AttributeError(name)
        return getattr(self._value(), name)


class MergeField(Merged):
    """One merge field in a template, such as `subscriber.name` or `view_url`."""

    __slots__ = ("_field",)

    def __init__(self, reader: Reader, field: str) -> None:
        super().__init__(reader)
        self._field = field

    def _printed(self, kind: str) -> str:
        return self._reader.written(self._field, kind)

    def _value(self) -> str:
        return self._reader.value(self._field)

    def __bool__(self) -> bool:
        return bool(self._reader.ask(Question("set", self._field)))

    def __eq__(self, other: object) -> bool:
        other = plain(other)
        return isinstance(other, str) and bool(self._reader.ask(Question("equals", self._field, str(other))))

    def __hash__(self) -> int:
        return super().__hash__()


class MergeText(Merged):
    """Text with tokens in it, such as a subject or what `{% set %}…{% endset %}` captured."""

    __slots__ = ("_text",)

    def __init__(self, reader: Reader, text: str) -> None:
        super().__init__(reader)
        self._text = text

    def _printed(self, kind: str) -> str:  # noqa: ARG002 - its tokens have their kinds
        return self._text

    def _value(self) -> str:
        # Captured HTML stays HTML: the values are escaped as they would have been in the capture.
        if isinstance(self._text, Markup):
            pieces = split(str(self._text), self._reader.token)
            return Markup("").join(
                part
                for piece in pieces
                for part in (Markup(piece.literal), self._reader.value(piece.field) if piece.field else "")  # noqa: S704
            )
        return self._reader.filled(self._text)


class MergeAttributes:
    """`subscriber.attributes` in a template; an attribute that a person lacks is empty."""

    __slots__ = ("_reader",)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __getitem__(self, key: str) -> MergeField:
        if not isinstance(key, str):
            raise KeyError(key)
        return MergeField(self._reader, f"subscriber.attributes.{key}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def keys(self) -> tuple[str, ...]:
        """The names of this person's attributes."""
        found = self._reader.ask(Question("keys"))
        assert isinstance(found, tuple)
        return found

    def values(self) -> tuple[MergeField, ...]:
        """The values of this person's attributes."""
        return tuple(self[key] for key in self.keys())

    def items(self) -> tuple[tuple[str, MergeField], ...]:
        """Names and values of this person's attributes."""
        return tuple((key, self[key]) for key in self.keys())

    def get(self, key: str, default: str = "") -> MergeField | str:
        """One attribute, or `default` where the person has none."""
        return self[key] if not default or key in self.keys() else default


class MergeSubscriber:
    """`subscriber` in a template: name, email, attributes."""

    __slots__ = ("attributes", "email", "name")
    template_name: ClassVar[str] = "subscriber"

    def __init__(self, reader: Reader) -> None:
        self.name = MergeField(reader, "subscriber.name")
        self.email = MergeField(reader, "subscriber.email")
        self.attributes = MergeAttributes(reader)

    def __str__(self) -> str:
        raise TypeError("subscriber itself cannot be printed: use subscriber.name or subscriber.email")


def printed(value: object, kind: str) -> object:
    """What a template prints for a value: a token for a merge field, anything else as it is."""
    return value._printed(kind) if isinstance(value, Merged) else value  # noqa: SLF001 - hidden from templates only


def plain(value: object) -> object:
    """The value itself where it is a merge field: a question about the subscriber."""
    return value._value() if isinstance(value, Merged) else value  # noqa: SLF001
