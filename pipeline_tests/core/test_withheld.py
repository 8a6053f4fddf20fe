"""Words without secrets: whatever a library makes of one, and whichever value of a source it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel, SecretStr

from pipeline.core import withheld
from pipeline.core.sources import read_source
from pipeline.core.withheld import withhold, without_secrets


class Account(BaseModel):
    """Secrets at every depth."""

    token: SecretStr | None = None
    headers: dict[str, SecretStr] = {}
    channels: list[SecretStr | Account] = []


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(withheld, "_known", set())
    yield


SECRETS = [
    "plain-token.1_~",
    "both 'kinds' of \"quotes\"",
    "back\\slash\\",
    "new\nline\tand tab",
    "é中\N{GRINNING FACE}\N{LINE SEPARATOR}",
    "a b+c=/?&#",
    "%41%42",
]
QUOTINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "repr of repr": lambda text: repr(repr(text)),
    "KeyError of repr": lambda text: str(KeyError(repr(text))),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON as it is": lambda text: json.dumps(text, ensure_ascii=False),
    "an address": lambda text: quote(text, safe=""),
    "an address in small letters": lambda text: quote(text, safe="").lower(),
    "a form": quote_plus,
}


@pytest.mark.parametrize("quoting", QUOTINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_in_whatever_quoting(secret: str, quoting: str) -> None:
    withhold(Account(token=SecretStr(secret)))
    quoted = QUOTINGS[quoting](secret)
    told = without_secrets(f"before {quoted} behind")
    assert told.startswith("before ")
    assert told.endswith(" behind")
    assert set(told.removeprefix("before ").removesuffix(" behind").replace("(withheld)", "")) <= set("'\\\"b")


def test_every_secret_is_found_at_whatever_depth() -> None:
    inner = Account(
        headers={"a": SecretStr("second secret"), "b": SecretStr("third")}, channels=[SecretStr("last one")]
    )
    withhold(Account(token=SecretStr("first"), channels=[inner]))
    assert without_secrets("first, second secret, third, last one") == ", ".join(["(withheld)"] * 4)


@pytest.mark.parametrize(
    ("secret", "words", "told"),
    [
        ("slack://T0KEN-AAA/T0KEN-BBB/general", "hooks.example/T0KEN-AAA/x", "hooks.example/(withheld)/x"),
        ("mailto://me:pa55-word-of@mail.example.org", "login pa55-word-of at mail.example.org",
         "login (withheld) at mail.example.org"),
        ("Bearer abc.def.ghi-jkl", "token abc.def.ghi-jkl", "token (withheld)"),
        ("id=1; session=0123456789", "cookie 0123456789 of 1", "cookie (withheld) of 1"),
        ("0123456789; id=1", "sent 0123456789; id=1", "sent (withheld)"),
    ],
)  # fmt: skip
def test_a_part_of_what_is_put_together_is_a_secret_too_but_no_host(secret: str, words: str, told: str) -> None:
    withhold(Account(token=SecretStr(secret)))
    assert without_secrets(words) == told


def test_what_stands_in_every_other_word_is_left_alone() -> None:
    withhold(Account(token=SecretStr("the"), headers={"a": SecretStr("")}))
    assert without_secrets("neither whether") == "neither whether"


def test_a_source_that_is_read_gives_up_all_its_secrets(tmp_path: Path) -> None:
    values = {name: f"planted-{name}" for name in ("TOKEN", "SESSION", "CHANNEL", "HEARTBEAT", "SASL")}
    sources = {
        "blog": """
  platform:
    kind: json_api
    base_url: https://blog.example
    path: /posts
    items: posts
    fields: {item_id: id, title: title}
    auth: {headers: {Authorization: "Bearer {{ env.TOKEN }}"}, cookies: {session: "{{ env.SESSION }}"}}
    counters: {views: views}
  notify: ["json://hooks.example/{{ env.CHANNEL }}"]
  heartbeat_url: https://beat.example/{{ env.HEARTBEAT }}
""",
        "app": """
  platform:
    kind: points
    kafka:
      bootstrap: broker.example:9092
      topic: points
      settings: {sasl.password: "{{ env.SASL }}", socket.timeout.ms: 1000, enable.ssl.certificate.verification: true}
""",
    }
    for name, text in sources.items():
        file = tmp_path / name / "defs.yaml"
        file.parent.mkdir()
        file.write_text(f"type: pipeline.components.CounterSource\nattributes:\n  source: {name}{text}")
        source = read_source(file, values)
        assert [value for value in values.values() if value in repr(source)] == []
    assert without_secrets(", ".join(values.values())) == ", ".join(["(withheld)"] * 5)
