"""Secrets that must not leave the program: keys that name one, values that look like one.

Looking costs less than a microsecond a value, so the patterns are only tried on values that hold one of a few short
texts that every secret of that shape has.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

_WORDS = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|token(?!s)|authorization|cookie|credential|api[_-]?key|apikey|"
    r"private[_-]?key|access[_-]?key|signing[_-]?key|encryption[_-]?key|session[_-]?(?:id|key)|sessionid|csrf|xsrf|"
    r"card[_-]?(?:number|no)|cvv|cvc|iban|ssn"
)
_KEY = re.compile(rf"{_WORDS}|(?:^|[_.-])(?:auth|pin|otp|jwt)(?:$|[_.-])", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_CARD = re.compile(r"(?<![\w.])\d{4}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{1,4}){0,2}(?!\w|\.\d)")
_FOUR_AND_FOUR = re.compile(r"[0-9]{4}[ -]?[0-9]{4}")
_SHAPES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    (
        re.compile(r"\b([Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?=\S{0,500}[0-9A-Z=])[A-Za-z0-9._~+/=-]{8,}"),
        rf"\1 {REDACTED}",
    ),
    (re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), REDACTED),
    (
        re.compile(r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|xox[a-z]-[\w-]{10,}|[rs]k_(?:live|test)_\w{10,})"),
        REDACTED,
    ),
    (re.compile(r"\b(?:AIza[\w-]{30,}|glpat-[\w-]{15,}|sk-[\w-]{20,}|npm_\w{20,}|pypi-[\w-]{20,})"), REDACTED),
    (re.compile(r"([a-z][a-z0-9+.-]{1,20}://)[^/\s@\"'<>]{1,500}@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (
        re.compile(
            rf"((?:{_WORDS})[\w-]{{0,40}}\\?[\"']?\s{{0,4}}(?:=|:)\s{{0,4}})"
            # In quotation marks (JSON's own, or those of JSON inside of JSON), which a cut text may not close.
            r"(?:\\\"(?:(?!\\\").){1,20000}(?:\\\")?|\"(?:[^\"\\]|\\.){1,20000}\"?|'[^']{1,20000}'?"
            r"|[^\s,;&\"'}{)\]]{1,2000})",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
)


def names_secret(key: str, more: frozenset[str]) -> bool:
    """Whether a key says that its value is secret. ``more`` are further keys, in lower case."""
    return key.lower() in more or _KEY.search(_CAMEL.sub("_", key)) is not None


def suspicious(value: str) -> bool:
    """Whether a value could hold a secret: cheap, and wrong only in the direction of yes."""
    return (
        ":" in value
        or "=" in value
        or ("_" in value and ("gh" in value or "k_" in value or "npm_" in value))
        or "eyJ" in value
        or "KIA" in value
        or "SIA" in value
        or "AIza" in value
        or "xox" in value
        or "-----B" in value
        or "pat-" in value
        or "sk-" in value
        or "pypi-" in value
        or "earer" in value
        or "EARER" in value
        or "asic" in value
        or "ASIC" in value
        or (len(value) > 12 and _FOUR_AND_FOUR.search(value) is not None)
    )


def cleaned(value: str) -> str:
    """The value with every secret in it that has a known shape replaced."""
    for shape, replacement in _SHAPES:
        value = shape.sub(replacement, value)
    return _CARD.sub(_without_card, value)


def _without_card(match: re.Match[str]) -> str:
    text = match.group()
    return REDACTED if is_card([int(digit) for digit in text if digit.isdigit()]) else text


def is_card(digits: list[int]) -> bool:
    """Luhn's check, for 13 to 19 digits that begin as the numbers of payment cards do (ISO/IEC 7812)."""
    if not 13 <= len(digits) <= 19 or not (digits[0] in (3, 4, 5, 6) or (digits[0] == 2 and 2 <= digits[1] <= 7)):
        return False
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + doubled) % 10 == 0
