"""The keys that describe a JSON endpoint. docs/json-api.md is their reference for whoever writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator

from pipeline.core.counter_spec import CounterSpec
from pipeline.core.policy import Trend
from pipeline.core.withheld import without_filled
from pipeline.platforms.json_api.expressions import (
    Address,
    Expression,
    fields_of,
    fields_of_address,
    find,
    find_address,
    find_flag,
    is_filled,
    placeholders,
)
from pipeline.platforms.json_api.paging import PATH, OnePage, Pages
from pipeline.platforms.protocol import Columns, Page, Unreadable
from pipeline.platforms.replies import decode, id_text, number_or_text, time_or_text

_NAME = r"^[a-z][a-z0-9_]*$"
_TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$"  # noqa: S105  a token of RFC 9110, section 5.6.2
_OURS = {"accept-encoding", "connection", "content-length", "host", "if-none-match", "transfer-encoding"}
_SECRET_NAMES = re.compile(r"(api|access|auth)?(key|token)|(client)?secret|password|session(id)?|signature")
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])")
_FALSE: tuple[Any, ...] = (None, False, "", [], {})


class _Strict(BaseModel, frozen=True, extra="forbid"):
    pass


def _not_ours(name: str) -> str:
    if name.lower() in _OURS:
        raise ValueError("this header is the client's own")
    return name


def _no_secret(name: str) -> str:
    if _SECRET_NAMES.fullmatch(re.sub(r"[-_]", "", name.lower())):
        raise ValueError("params are stored beside every reply; what is secret stands under auth, as query")
    return name


def as_text(value: Any) -> Any:
    """Numbers and booleans of the YAML, as addresses spell them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _in_full(value: Any) -> Any:
    return {"value": value} if isinstance(value, str) else value


_Secret = Annotated[SecretStr, Field(min_length=1)]
_HeaderName = Annotated[str, Field(pattern=_TOKEN), AfterValidator(_not_ours)]
_ParamName = Annotated[str, Field(min_length=1), AfterValidator(_no_secret)]
_ParamText = Annotated[str, BeforeValidator(as_text)]
_Params = dict[_ParamName, _ParamText | list[_ParamText]]


class Auth(_Strict, frozen=True):
    """What goes with every request and is stored nowhere."""

    headers: dict[_HeaderName, _Secret] = {}
    cookies: dict[Annotated[str, Field(pattern=_TOKEN)], _Secret] = {}
    query: dict[Annotated[str, Field(min_length=1)], _Secret] = {}

    @property
    def secrets(self) -> list[str]:
        """Every secret value, in an order that does not depend on the YAML's."""
        kinds = (self.headers, self.cookies, self.query)
        return [value.get_secret_value() for kind in kinds for _, value in sorted(kind.items())]

    @model_validator(mode="after")
    def _one_cookie_header(self) -> Auth:
        if self.cookies and any(name.lower() == "cookie" for name in self.headers):
            raise ValueError("cookies stand under cookies, or all together in one header Cookie")
        return self


class Lookup(_Strict, frozen=True):
    """One request before the listing, for values that its path or params need, as ${name}."""

    path: str = Field(pattern=PATH)
    params: _Params = {}
    gives: dict[Annotated[str, Field(pattern=_NAME)], Expression] = Field(min_length=1)

    @property
    def placeholders(self) -> set[str]:
        """The names that its path and params need, without the ${}."""
        return placeholders(self.path) | in_params(self.params)


class Moment(_Strict, frozen=True):
    """A time: its text in ISO 8601, or a number of (milli)seconds since 1970. ``offset``: of a text without one."""

    value: Expression
    written: Literal["iso", "seconds", "milliseconds"] = "iso"
    offset: str | None = Field(default=None, pattern=rf"^{_OFFSET.pattern}$")

    def read(self, told: Any) -> Any:
        """A datetime, or ``told`` as it was sent where it cannot be read as one: a check refuses it by item."""
        try:
            if self.written == "iso":
                return time_or_text(told) if self.offset is None else self._with_offset(told)
            if isinstance(told, bool) or not isinstance(told, int | float):
                return told
            return datetime.fromtimestamp(told if self.written == "seconds" else told / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return told

    def _with_offset(self, told: Any) -> Any:
        offset = _OFFSET.fullmatch(self.offset or "")
        if offset is None or not isinstance(told, str):
            return told
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        zone = timezone(-ahead if offset[1] == "-" else ahead)
        moment = datetime.fromisoformat(told)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


class Fields(_Strict, frozen=True):
    """Which part of an item is what."""

    item_id: Expression
    title: Expression | None = None
    url: Address | None = None
    published_at: Annotated[Moment | None, BeforeValidator(_in_full)] = None


class CounterReading(CounterSpec):
    """Where a counter stands in an item, and its policy where the source's own `counters` do not say."""

    value: Expression
    policy: Trend = Trend.NEVER_DECREASES


class Condition(_Strict, frozen=True):
    """``statuses`` that mean it, or an expression ``when`` that finds something in the body, whatever the status."""

    statuses: list[Annotated[int, Field(ge=100, le=599)]] = []
    when: Expression | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.statuses and self.when is None:
            raise ValueError("this needs statuses, or an expression 'when', or both")
        return self

    def holds(self, answer: Page) -> bool:
        """Whether an answer meets it. A body that is not JSON meets no expression."""
        if answer.status in self.statuses:
            return True
        if self.when is None:
            return False
        try:
            return find(self.when, decode(answer, object), "") not in _FALSE
        except Unreadable:
            return False  # no such body; the checks say what it is


_Counters = dict[
    Annotated[str, Field(pattern=_NAME, max_length=60)], Annotated[CounterReading, BeforeValidator(_in_full)]
]


class Description(_Strict, frozen=True):
    """What is asked for, how its pages follow each other, and what they hold."""

    path: str = Field(pattern=PATH)
    params: _Params = {}
    auth: Auth = Auth()
    lookup: Lookup | None = None
    pages: Pages = OnePage()
    items: Expression
    where: Expression | None = None
    fields: Fields
    counters: _Counters = Field(min_length=1)
    integers: Literal["numbers", "text"] = "numbers"
    dead_session: Condition | None = None
    limited: Condition | None = None
    drop: list[Annotated[str, Field(min_length=1)]] = []

    @property
    def placeholders(self) -> set[str]:
        """The names that the listing needs, before what `lookup` gives is taken from them."""
        return placeholders(self.path) | in_params(self.params)

    @property
    def written(self) -> Mapping[str, str]:
        """By column the key and the expression that find its values; no column that none was written for."""
        fields = {name: getattr(self.fields, name) for name in Fields.model_fields}
        given = {name: (f"fields.{name}", field) for name, field in fields.items() if field is not None}
        given |= {name: (f"counters.{name}", reading) for name, reading in self.counters.items()}
        return {name: f"{key}: {getattr(found, 'value', found)}" for name, (key, found) in given.items()}

    def items_of(self, body: Any, where: str) -> list[Any]:
        """Every item of a page, before `where` chooses. Raises Unreadable where there is no list: none is not empty."""
        found = find(self.items, body, f"{where}: items")
        if not isinstance(found, list):
            raise Unreadable(f"{where} holds no list where its items were due (items: {without_filled(self.items)})")
        return found

    def columns(self, body: Any, where: str) -> Columns:
        """Items of one decoded page by column, every value as it was sent but for what the keys say of it."""
        numbered = enumerate(self.items_of(body, where), 1)
        items = [(item, f"{where}, item {number}") for number, item in numbered]
        if self.where is not None:
            items = [(item, at) for item, at in items if find_flag(self.where, item, f"{at}: where")]
        fields, moment = self.fields, self.fields.published_at
        columns: Columns = {
            "item_id": [id_text(find(fields.item_id, item, f"{at}: fields.item_id")) for item, at in items]
        }
        columns["title"] = [fields.title and find(fields.title, item, f"{at}: fields.title") for item, at in items]
        columns["url"] = [fields.url and find_address(fields.url, item, f"{at}: fields.url") for item, at in items]
        columns["published_at"] = [
            moment and moment.read(find(moment.value, item, f"{at}: fields.published_at")) for item, at in items
        ]
        for name, reading in self.counters.items():
            told = [find(reading.value, item, f"{at}: counters.{name}") for item, at in items]
            columns[name] = [number_or_text(value) for value in told] if self.integers == "text" else told
        return columns

    @model_validator(mode="after")
    def _drop_takes_nothing_that_is_read(self) -> Description:
        if taken := set(self.drop) & self._fields_read():
            raise ValueError(f"drop removes {', '.join(sorted(taken))}, which an expression reads")
        return self

    @model_validator(mode="after")
    def _lookup_stands_apart(self) -> Description:
        if self.lookup is None:
            return self
        if is_filled(self.lookup.path, self.path) or is_filled(self.path, self.lookup.path):
            raise ValueError("the path of lookup could be one of the listing; a stored page must tell which it is of")
        return self

    @model_validator(mode="after")
    def _links_carry_no_secret(self) -> Description:
        if self.auth.query and self.pages.by == "link":
            raise ValueError("links repeat the parameters of auth.query, and replies are stored: use another way")
        return self

    def _fields_read(self) -> set[str]:
        expressions = [self.items, self.where, self.fields.item_id, self.fields.title]
        expressions += [reading.value for reading in self.counters.values()]
        expressions += [condition.when for condition in (self.dead_session, self.limited) if condition]
        expressions += self.lookup.gives.values() if self.lookup else []
        expressions += [self.fields.published_at.value] if self.fields.published_at else []
        read = {name for expression in expressions if expression for name in fields_of(expression)}
        return read | self.pages.fields | (fields_of_address(self.fields.url) if self.fields.url else set())


def in_params(params: Mapping[str, str | list[str]]) -> set[str]:
    """The placeholders that stand in parameters."""
    return {name for texts in params.values() for text in each(texts) for name in placeholders(text)}


def each(texts: str | list[str]) -> Iterable[str]:
    """The texts; one text alone is a list of one."""
    return [texts] if isinstance(texts, str) else texts
