"""Reports with crossings as the core hands them to `notify`, and titles that try to take effect."""

from typing import Any

HOSTILE_TITLES = {
    "everyone": "@everyone look",
    "here": "hi @here",
    "discord user": "<@123> and <@!124> and <@&456> and <#789>",
    "slack user": "<@U123> and <!subteam^S123> and <!date^1^{date}^https://evil.example|now>",
    "slack channel": "<!channel> <!here|here> &lt;!channel&gt;",
    "link": "see https://evil.example/x?y=1 now",
    "bare domain": "read evil.example today",
    "markdown link": "[free](https://evil.example)",
    "emphasis": "**bold** _slanted_ __under__ ~~gone~~ ||spoiler|| `code`",
    "heading": "# huge",
    "quote": "> quoted",
    "script": "<script>alert(1)</script>",
    "emoji name": "a :fire: b",
    "bot command": "/start now",
    "hash tag": "#win ＃win ＠someone",
    "javascript link": "[free](javascript:alert\\(1\\))",
    "newline": "one\ntwo\r\nthree\u2028four",
    "mail header": "one\r\nBcc: evil@example.org\r\n\r\ntwo",
    "control": "a\x00b\x1b[31mc",
    "right to left override": "exe.\u202egnp.txt \u2066x\u2069",
    "half a surrogate pair": "a\ud800b",
    "backslash": "\\*not escaped\\*",
}


def crossing(**changes: Any) -> dict[str, Any]:
    return {
        "rule": "views crosses",
        "kind": "crosses",
        "counter": "views",
        "item_id": "n1",
        "title": "How a ratchet works",
        "url": None,
        "threshold": 100.0,
        "value": 104.0,
        "previous_value": 97.0,
        "hour": "2026-11-22T14",
        **changes,
    }


def report(*crossings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "source": "my_blog",
        "hour": "2026-11-22T14",
        "origin": "live",
        "captured_at": "2026-11-22T14:17:03Z",
        "simulated": False,
        "owner": None,
        "crossings": list(crossings),
        "movement": {
            "views": {"delta": 312, "per_hour": 301.9, "items_moved": 28},
            "likes": {"delta": -3, "per_hour": -2.9, "items_moved": 2},
        },
        "elapsed_seconds": 3720,
        "coverage": {},
        **changes,
    }
