"""``ratchet source``: add a source by answering questions, and check what is there before Dagster ever sees it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.core.model import Source
    from pipeline.core.project import Project
    from pipeline.core.source_file import Question
    from pipeline.core.trial import Trial

_NONE = " (Enter for none)"
_RELOAD = "A Dagster that runs already learns of it by Reload definitions in its UI (Deployment, the code location)."
_SHOWN = 5
_LONGEST_ID = 300
_MOST_COLUMNS = 6
"""Of counters; more of them are listed in one column, with those that an item has."""


class _Variable(click.ParamType[str]):
    """Small letters would do too, but then a secret that is pasted here would be taken for a name, and written down."""

    name = "variable"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            self.fail("the name of a variable is capital letters, digits and _; the secret is asked for next")
        return value


@click.group()
def command() -> None:
    """Add sources, and check the YAML of those that are there.

    \b
    Example: ratchet source add
    """


@command.command()
@click.argument("source", required=False)
@click.option("--offline", is_flag=True, help="With SOURCE: look at the YAML only and ask no platform.")
def check(source: str | None, offline: bool) -> None:
    """Check the YAML of every source; of SOURCE also whether its platform answers with items.

    \b
    Example: ratchet source check my_blog
    """
    from pipeline.core.errors import ConfigError
    from pipeline.core.project import Project
    from pipeline.core.sources import find_source, sound_sources
    from pipeline.core.text import printable

    project = Project.here()
    if source is not None:
        found = find_source(project, source)
        _require_channels(project, found)
        click.echo(_good(found, "good" if offline else "its YAML is good"))
        if not offline:
            _show(found, _try(found))
            click.echo(f"\n{_RELOAD}")
        return
    sound, broken = sound_sources(project)
    for each in sound:
        try:
            _require_channels(project, each)
            click.echo(_good(each, "good"))
        except ConfigError as no_channel:
            broken.append(no_channel)
    for error in broken:
        click.echo(printable(f"{error.what}\n  {error.next_step}"), err=True)
    sys.exit(ConfigError.exit_code if broken else 0)


@command.command()
@click.option("--platform", "kind", help="The kind of platform; asked for otherwise.")
@click.option("--name", help="What the source is called; asked for otherwise.")
@click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="Answer a question beforehand; no secrets.")
def add(kind: str | None, name: str | None, given: tuple[str, ...]) -> None:
    """Ask for what a new source needs, write its YAML, and show the first items it would record.

    A secret goes into .env, which git ignores, and nowhere else.

    \b
    Example: ratchet source add
    Example: ratchet source add --platform zenn --name my_zenn --set username=someone
    """
    from pipeline.core.errors import RatchetError
    from pipeline.core.project import Project
    from pipeline.core.source_file import plain_keys, questions, require_new_name, setting, write_source_file
    from pipeline.core.sources import read_source

    project = Project.here()
    kind = _kind(kind)
    asked = questions(kind, project.defs)
    answers = _given(given, plain_keys(kind))
    if name:
        require_new_name(project.defs, name)
    else:
        name = _name(project.defs, f"my_{kind}")
    settings = {key: setting(kind, key, answer) for key, answer in answers.items()}
    for question in asked:
        if question.key in settings:
            continue
        answer = _secret(question, name) if question.secret else _answer(question)
        if answer and answer != question.default:
            settings[question.key] = answer if question.secret else setting(kind, question.key, answer)
    file = write_source_file(project.defs, name, kind, settings, enabled=True)
    click.echo(f"\nWritten: {_shown(file)}")
    try:
        found = read_source(file)
        _show(found, _try(found))
    except RatchetError:
        write_source_file(project.defs, name, kind, settings, enabled=False)
        click.echo(
            f"It is switched off (enabled: false). When ratchet source check {name} shows its items, switch it on.",
            err=True,
        )
        raise
    click.echo(f"\nObserve it now:       ratchet collect {name}")
    click.echo("Observe it hourly:    make dev, or your own Dagster; it is switched on")
    click.echo(f"Rules and messages:   {_shown(file)}")
    click.echo(_RELOAD)


def _kind(kind: str | None) -> str:
    from pipeline.core.errors import ConfigError
    from pipeline.platforms import KINDS

    if kind is None:
        return str(_prompt("Platform", "--platform KIND", type=click.Choice(sorted(KINDS))))
    if kind not in KINDS:
        raise ConfigError(f"There is no platform '{kind}'.", f"Use one of {', '.join(sorted(KINDS))}.")
    return kind


def _given(given: tuple[str, ...], known: list[str]) -> dict[str, str]:
    from pipeline.core.errors import ConfigError

    pairs = dict(part.partition("=")[::2] for part in given)
    for key in pairs:
        if key not in known:
            raise ConfigError(
                f"'{key}' is none of this platform's keys that --set can give.",
                f"Those are: {', '.join(known) or 'none'}. Secrets are asked for, or taken from the environment.",
            )
    return pairs


def _name(defs: Path, proposed: str) -> str:
    """A name that can be, asked for until it is one."""
    from pipeline.core.errors import ConfigError
    from pipeline.core.source_file import require_new_name

    def possible(name: str) -> str:
        try:
            require_new_name(defs, name)
        except ConfigError as error:
            raise click.BadParameter(f"{error.what} {error.next_step}") from None
        return name

    words = "A name for the source (small letters, digits, _)"
    return str(_prompt(words, "--name NAME", default=proposed, value_proc=possible))


def _answer(question: Question) -> str:
    words = question.words + (_NONE if question.default == "" else "")
    given = f"--set {question.key}=VALUE"
    return str(_prompt(words, given, default=question.default, show_default=bool(question.default)))


def _prompt(words: str, option: str, **how: Any) -> Any:
    """An answer. Raises ConfigError where the input ends before it; ``option`` gives it on the command line."""
    from pipeline.core.errors import ConfigError

    try:
        return click.prompt(words, **how)
    except click.Abort as ended:
        if not isinstance(ended.__context__, EOFError):
            raise
        click.echo(err=True)
        raise ConfigError(
            f"The question '{words}' needs an answer, and there is nobody to give it: the input has ended.",
            f"Run it in a terminal, or answer beforehand: {option}",
        ) from None


def _secret(question: Question, source: str) -> str | None:
    """Its place in the YAML; the value itself goes into the environment's file, unless it stands there already."""
    from pipeline.core.project import env_file, environment
    from pipeline.core.source_file import keep_secret

    asked = f"The variable that holds the {question.words}"
    proposed = question.variable(source)
    unasked = f"{proposed} in .env or the environment, and an empty line as the answer"
    variable = _prompt(asked, unasked, default=proposed, type=_Variable())
    if environment().get(variable):
        click.echo(f"{variable} is set already.")
    else:
        empty = "" if question.default is None else _NONE
        value = _prompt(f"{variable}{empty}", unasked, default=question.default, hide_input=True, show_default=False)
        if not value:
            return None
        keep_secret(env_file(), variable, value)
        click.echo(f"Kept in {_shown(env_file())}.")
    return f"{{{{ env.{variable} }}}}"


def _require_channels(project: Project, source: Source) -> None:
    """Raises ConfigError for an address that no message could be sent to. It holds secrets and is never shown."""
    from pipeline.core.errors import ConfigError
    from pipeline.core.yaml_lines import read_document
    from pipeline.notify.delivery import is_understood

    file = project.defs / source.name / "defs.yaml"
    for position, address in enumerate(source.notify):
        if not is_understood(address):
            raise ConfigError(
                "an address under 'notify' that apprise does not understand",
                "Compare it with the form that https://appriseit.com/services/ gives for the service; "
                "a webhook of your own begins with json:// or jsons://.",
                file=file,
                line=read_document(file).line(("attributes", "notify", position)),
            )


def _good(source: Source, verdict: str) -> str:
    from pipeline.core.text import counted

    counters = ", ".join(source.counter_names)
    return f"{source.name}: {verdict}. {source.platform.kind}: {counters}; {counted(len(source.rules), 'rule')}."


def _try(source: Source) -> Trial:
    from pipeline.core.errors import TransportFault
    from pipeline.core.observe import PRESENT
    from pipeline.core.project import Project
    from pipeline.core.trial import try_source

    file = _shown(Project.here().defs / source.name / "defs.yaml")
    try:
        return try_source(source, PRESENT.now)
    except TransportFault as fault:
        raise TransportFault(
            fault.what,
            f"Look at what stands under 'platform' in {file}, its address first; where that is right, try later: "
            f"ratchet source check {source.name}",
            status=fault.status,
            retry_after=fault.retry_after,
        ) from fault


def _show(source: Source, trial: Trial) -> None:
    """The first items, or why they would be refused. Raises Refused then."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from pipeline.core.errors import Refused
    from pipeline.core.text import counted, legible

    requests = counted(trial.requests, "request")
    if trial.problems:
        raise Refused(
            f"{source.name} answered {requests} with what would be refused. {' '.join(trial.problems)}",
            "Mend the source's YAML, or wait if the platform is at fault; nothing was recorded.",
        )
    names = source.counter_names
    wide = len(names) > _MOST_COLUMNS
    item_id = Column("item", overflow="fold")  # whole, for other commands take it
    table = Table(item_id, "counters") if wide else Table(item_id, "title", *names)
    for item in trial.items[:_SHOWN]:
        cells = [item["title"] or "", *(item[name] for name in names)]
        if wide:
            cells = [", ".join(f"{name} {item[name]}" for name in names if item[name] is not None)]
        words = ["" if cell is None else legible(str(cell), 200 if wide else 60) for cell in cells]
        table.add_row(*map(escape, [legible(item["item_id"], _LONGEST_ID), *words]))
    console = Console()
    more = f"; the first {_SHOWN} are" if len(trial.items) > _SHOWN else ":"
    console.print(f"\n{counted(len(trial.items), 'item')} in {requests}{more}")
    console.print(table)
    notices = [*trial.unfound, *(finding.reason for finding in trial.findings if finding.failing)]
    if not trial.items:
        step = f"ratchet correct {source.name} HOUR --accept --by NAME --reason TEXT"
        notices.append(f"An empty listing is refused until you take one as true: {step}")
    for notice in notices:
        console.print(escape(notice), style="yellow")


def _shown(path: Path) -> str:
    from pathlib import Path

    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
