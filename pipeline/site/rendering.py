"""HTML from templates: everything is escaped, and the page's own policy lets nothing from outside in.

The policy names the hashes of the two blocks of style and script that the file itself holds, so no
other could run, and nothing can be loaded or sent at all.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, data: dict[str, Any], **words: object) -> bytes:
    """A page of one file. ``data`` is what its script reads, ``words`` what its template shows."""
    style, script = _style(), _script()
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"script-src '{_hash(script)}'; style-src '{_hash(style)}'"
    )
    page = _templates().get_template(template)
    text = page.render(
        policy=Markup(policy),  # noqa: S704  made of two hashes
        style=Markup(style),  # noqa: S704  these are files of this package
        script=Markup(script),  # noqa: S704
        data=Markup(embedded(data)),  # noqa: S704  nothing in it can end the element
        **words,
    )
    return text.encode(errors="replace")


def embedded(data: object) -> str:
    """JSON that can stand in a script element: a ``<`` would let a title end it."""
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pipeline.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> str:
    return _file("vendor/uplot/uPlot.min.css") + _file("assets/page.css")


@cache
def _script() -> str:
    own = "".join(_file(f"assets/{name}.js") for name in ("series", "charts", "page"))
    return f'{_file("vendor/uplot/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}}})();\n'


def _file(name: str) -> str:
    return files("pipeline.site").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
