"""Text from outside made harmless for every place that would take mentions, markup or links for its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence, Sized
from datetime import timedelta
from urllib.parse import urlsplit

_WORD_JOINER = "\N{WORD JOINER}"
_KEPT_FORMAT_CHARACTERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_MARKUP = re.compile(r"[*`~|\[\]<>\\]|(?<![^\W_])_|_(?![^\W_])")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d+)?", re.ASCII)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE_BYTE = re.compile(rb"[^A-Za-z0-9/%.=&?+,-]")
_JOINT = re.compile(r"[#＃]|[@＠/:.$&](?=\S)")
_TO_FULL_WIDTH = 0xFEE0
_DISGUISED = re.compile(rf"([＊｀～｜［］＜＞＼＿]?){_WORD_JOINER}")


def plain(text: str, limit: int = 120) -> str:
    """Outside text as one line of at most ``limit`` characters in which nothing takes effect.

    A channel's own escapes would not do: a backslash is an escape in Discord, a visible character
    in Slack or a short message. So the text itself is changed, in a way that every renderer leaves
    alone and a reader hardly sees, and that `as_data` undoes for whoever renders nothing:

    - markup (``* ` ~ | [ ] < > \\`` and an underscore that is not inside a word) becomes its
      full-width form and a WORD JOINER. Round brackets stay: behind a full-width square bracket they
      make no link.
    - behind each ``#``, and each ``@ / : . $ &`` that touches what follows (also where ``#`` and ``@``
      are full-width, which some services read too), stands an invisible WORD JOINER. It is part of no
      mention, heading, channel, link, domain, command, emoji name or entity, and unlike a zero width
      space never breaks a line.
    - line breaks and control characters become spaces; direction overrides and other invisible
      format characters go (the joiners of emoji and of Indic and Persian script stay); half of a
      surrogate pair, which no channel could be sent, becomes U+FFFD.
    """
    line = _MARKUP.sub(lambda found: chr(ord(found[0]) + _TO_FULL_WIDTH) + _WORD_JOINER, _one_line(text, limit))
    return _shortened(_JOINT.sub(lambda found: found[0] + _WORD_JOINER, line), limit)


def as_data(message: str) -> str:
    """A message in which `plain` texts stand, as they were: for a program, or for a terminal."""
    return _DISGUISED.sub(lambda found: chr(ord(found[1]) - _TO_FULL_WIDTH) if found[1] else "", message)


def legible(text: str, limit: int = 120) -> str:
    """Outside text as one line of at most ``limit`` characters for a terminal, where an id has to be copied as it is.

    What a terminal would obey goes as in `plain`: line breaks, control characters, direction overrides. Markup stays.
    """
    return _shortened(_one_line(text, limit), limit)


def printable(text: str) -> str:
    """Text of any number of lines, with nothing in them that a terminal would obey."""
    return "\n".join("".join(map(_visible, line)) for line in text.split("\n"))


def counted(count: int, noun: str) -> str:
    """``1 gap``, ``1,204 gaps``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(span: timedelta) -> str:
    """``40 seconds``, ``25 minutes``, ``7.5 hours``, ``3 days``."""
    seconds = span.total_seconds()
    if seconds < 59.5:
        return counted(round(seconds), "second")
    if seconds < 59.5 * 60:
        return counted(round(seconds / 60), "minute")
    hours = seconds / 3600
    if hours >= 72:
        return f"{hours / 24:,.0f} days"
    return f"{hours:.1f}".removesuffix(".0") + (" hour" if f"{hours:.1f}" == "1.0" else " hours")


def listed(first: Sequence[str], total: int) -> str:
    """``a, b and 3 more``: the first of ``total`` names."""
    return " ".join([", ".join(first), *unlisted(first, total)])


def unlisted(first: Sized, total: int) -> list[str]:
    """``and 3 more``, where ``first`` are not all of ``total``: the last of its lines."""
    more = total - len(first)
    return [f"and {more:,} more"] if more > 0 else []


def _one_line(text: str, limit: int) -> str:
    # The slice bounds the work on a title of a megabyte.
    return " ".join("".join(_visible(character) for character in text[: 20 * limit]).split())


def _shortened(line: str, limit: int) -> str:
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def link(url: str | None, limit: int = 150) -> str | None:
    """Outside text as a link that leads where it says and does nothing else; None where it is no such address.

    What a channel could read as markup or a mention is written as its percent-encoding, which leads to the same
    place (RFC 3986, 6.2.2). An address with a user's name in it, which can pose as another host, is none.
    """
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc):
        return None
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    rest = "".join(
        f"{before}{_encoded(part)}"
        for before, part in (("", parts.path), ("?", parts.query), ("#", parts.fragment))
        if part
    )
    found = f"{parts.scheme}://{host}{rest}"
    return found if len(found) <= limit else None


def _encoded(part: str) -> str:
    content = _STRAY_PERCENT.sub("%25", part).encode("utf-8", "replace")
    return _UNSAFE_BYTE.sub(lambda found: b"%%%02X" % found[0][0], content).decode("ascii")


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cf" and character not in _KEPT_FORMAT_CHARACTERS:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if category == "Cs" else character
