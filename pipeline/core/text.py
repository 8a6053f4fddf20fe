"""Text from outside made harmless for every place that would take mentions, markup or links for its own."""

from __future__ import annotations

import re
import unicodedata

_WORD_JOINER = "\N{WORD JOINER}"
_KEPT_FORMAT_CHARACTERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_MARKUP = re.compile(r"[*`~|\[\]<>\\]|(?<![^\W_])_|_(?![^\W_])")
_JOINT = re.compile(r"[#＃]|[@＠/:.$&](?=\S)")


def plain(text: str, limit: int = 120) -> str:
    """Outside text as one line of at most ``limit`` characters in which nothing takes effect.

    A channel's own escapes would not do: a backslash is an escape in Discord, a visible character
    in Slack, a short message or a JSON webhook. So the text itself is changed, in a way that every
    renderer leaves alone and a reader hardly sees:

    - markup (``* ` ~ | [ ] < > \\`` and an underscore that is not inside a word) becomes its
      full-width form. Round brackets stay: behind a full-width square bracket they make no link.
    - behind each ``#``, and each ``@ / : . $ &`` that touches what follows (also where ``#`` and ``@``
      are full-width, which some services read too), stands an invisible WORD JOINER. It is part of no
      mention, heading, channel, link, domain, command, emoji name or entity, and unlike a zero width
      space never breaks a line.
    - line breaks and control characters become spaces; direction overrides and other invisible
      format characters go (the joiners of emoji and of Indic and Persian script stay); half of a
      surrogate pair, which no channel could be sent, becomes U+FFFD.
    """
    # The slice bounds the work on a title of a megabyte.
    visible = "".join(_visible(character) for character in text[: 20 * limit])
    line = _MARKUP.sub(lambda found: chr(ord(found[0]) + 0xFEE0), " ".join(visible.split()))
    line = _JOINT.sub(lambda found: found[0] + _WORD_JOINER, line)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cf" and character not in _KEPT_FORMAT_CHARACTERS:
        return ""
    return "\N{REPLACEMENT CHARACTER}" if category == "Cs" else character
