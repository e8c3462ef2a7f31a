"""What `include` and `exclude` of a feed may be: one pattern, a list of them, or patterns with names."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, PlainValidator, TypeAdapter

from newsletter.model import Rule
from newsletter.pattern import compile_pattern
from newsletter.text import one_line

_PATTERN_LIMIT = 500
_NAME_LIMIT = 60
_PAIR = {"name", "pattern"}


def _pattern(text: str) -> str:
    if not text:
        raise ValueError("is empty: it would match everything")
    if len(text) > _PATTERN_LIMIT:
        raise ValueError(f"is longer than {_PATTERN_LIMIT} characters")
    compile_pattern(text)
    return text


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("a rule needs a name")
    if len(text) > _NAME_LIMIT or one_line(text) != text:
        raise ValueError(f"a rule's name is one line of at most {_NAME_LIMIT} characters")
    return text


# A `ValidationError` of these within a validator keeps its places: pydantic puts them below the outer ones.
_STRICT = ConfigDict(strict=True)
_ONE = TypeAdapter[str](Annotated[str, AfterValidator(_pattern)], config=_STRICT)
_NAMED = TypeAdapter[dict[str, str]](
    dict[Annotated[str, AfterValidator(_name)], Annotated[str, AfterValidator(_pattern)]], config=_STRICT
)


def _named(value: dict[str, Any]) -> list[Rule]:
    if value.keys() == _PAIR:
        raise ValueError("needs no name and pattern: write the name as the key, `the name: the pattern`")
    return [Rule(name=name, pattern=pattern) for name, pattern in _NAMED.validate_python(value).items()]


def _rules(value: Any) -> Any:
    if isinstance(value, dict):
        return _named(value)
    return [value] if isinstance(value, str) else value


def _rule(value: Any) -> Rule:
    if isinstance(value, Rule):
        return value
    if isinstance(value, dict):
        found = _named(value)
        if len(found) != 1:
            raise ValueError("must be one pattern, or one `name: pattern`")
        return found[0]
    pattern = _ONE.validate_python(value)
    return Rule(name=pattern, pattern=pattern)


def _different(rules: Iterable[Rule]) -> list[Rule]:
    """Each rule once; one name for two of them would say nothing."""
    by_name: dict[str, Rule] = {}
    for rule in rules:
        if by_name.setdefault(rule.name, rule) != rule:
            raise ValueError(f"two rules are called {rule.name}")
    return list(by_name.values())


#: The value of `include` or `exclude`.
Rules = Annotated[list[Annotated[Rule, PlainValidator(_rule)]], BeforeValidator(_rules), AfterValidator(_different)]
