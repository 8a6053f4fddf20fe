"""Write the documents that follow from the code: commands, definitions, the runbook of a release, the JSON schemas.

python docs/generate.py          writes them
python docs/generate.py --check  fails where one of them is not what the code says
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from pipeline.cli import cli
from pipeline.core.incidents.book import Incident, Over
from pipeline.core.records import Correction, Lineage, Mark, Quarantine, Receipt, Report, Signals
from pipeline.core.source_spec import SourceSpec
from pipeline_tests.graph import definitions_in_words
from pipeline_tests.rehearsal.runbook import runbook

DOCS = Path(__file__).parent
RECORDS = (Report, Quarantine, Correction, Mark, Receipt, Lineage, Signals, Incident, Over)
_WIDTH = 100


def documents() -> Iterator[tuple[Path, str]]:
    """Every generated document with its content."""
    yield DOCS / "commands.md", command_reference()
    yield DOCS / "definitions.md", definitions_in_words()
    yield DOCS / "runbook.md", runbook()
    for record in RECORDS:
        yield DOCS / "schemas" / f"{record.__name__.lower()}.json", _json(msgspec.json.schema(record))
    yield DOCS / "schemas" / "source.json", _json(SourceSpec.model_json_schema())


def command_reference() -> str:
    parts = ["# Commands\n\nMade from the help texts by `make format`; do not edit.\n"]
    parts += [f"## {name}\n\n```\n{text}\n```\n" for name, text in _helps(cli, "ratchet", None)]
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, terminal_width=_WIDTH)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _helps(found, f"{name} {child}", context)


def _json(schema: object) -> str:
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=2).decode() + "\n"


def main(check: bool) -> int:
    stale = [path for path, content in documents() if not path.exists() or path.read_text() != content]
    if check:
        for path in stale:
            sys.stderr.write(f"{path} is not what the code says. Run: make format\n")
        return 1 if stale else 0
    for path, content in documents():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
