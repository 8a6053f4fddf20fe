"""The command line ``ratchet``: one verb a module, imported when it is called, so that help is instant.

Every command ends with an exit code of `core.errors` and, when it fails, with what to do next.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from keyword import iskeyword

import click

from pipeline.cli.saying import say_error
from pipeline.core.errors import RatchetError
from pipeline.core.text import printable
from pipeline.core.withheld import without_secrets

_COMMANDS = {
    "replay": "Replay the bundled recording through the real assets and checks.",
    "dev": "Open the Dagster UI, with the simulated account of the source demo.",
    "collect": "Capture a source now, without a daemon.",
    "watch": "Tell of rates per minute at once, between the hours.",
    "scrape": "Scrape a program between the hours, and tell of it at once.",
    "status": "Show the ledger: hours observed, quarantined, missing.",
    "metrics": "Serve the vital signs on loopback, for Prometheus.",
    "alert": "Send a test message to the channels.",
    "show": "Show what the items gained, as sparklines and a table.",
    "report": "Make the pages again: data/site/index.html and one page a source.",
    "digest": "Print or send what the last day or week brought.",
    "mark": "Write down what happened, so that the charts can show it.",
    "correct": "Take a refused capture as true, or reject an accepted hour.",
    "verify": "Look whether the lake still is what was published, and repair it.",
    "compact": "Pack finished months into archives and tables.",
    "rebuild": "Tell a new Dagster instance what the lake holds.",
    "import": "Import the past of a source from a file, through the same checks.",
    "export": "Write the accepted history of a source to one file for other tools.",
    "drill": "Inject every fault and show that each is loud.",
    "source": "Look at the YAML files of the sources.",
}


class _LazyGroup(click.Group):
    """Knows the commands by name and one line each; imports a module only to run or explain its command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = importlib.import_module(f"pipeline.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratchet")
def cli() -> None:
    """Ratchet keeps an hourly record of other people's counters and fails loudly.

    \b
    Example: ratchet status recorded

    Exit codes: 0 done, 1 a check of yours failed (status --max-age, drill) or a fault in Ratchet,
    2 usage or configuration, 10 transport, 11 dead session, 12 refused, 13 already observed,
    14 wrong hour, 15 source busy, 16 lake unwritable or damaged, 17 hours of an import were refused,
    18 a channel did not take a message.
    """


def main() -> None:
    """Run a command; a fault that its owner can act on ends in two plain sentences and its exit code."""
    # Dagster puts its own handlers in place while it runs and swallows what they raise: the pipe still knows.
    received, told = os.pipe()
    for end in (received, told):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli(standalone_mode=False)
    except SystemExit:
        raise
    except BaseException as error:
        code = _explain(error, _ending_signal(received))
    sys.exit(code)


def _ending_signal(received: int) -> int | None:
    """The first signal that asked this process to end, if one did."""
    try:
        arrived = os.read(received, 1024)
    except BlockingIOError:
        return None
    return next((number for number in arrived if number in (signal.SIGINT, signal.SIGTERM)), None)


def _explain(error: BaseException, ending: int | None) -> int:
    """Say on stderr why a command ended early; its exit code."""
    if ending is not None or isinstance(error, KeyboardInterrupt | click.Abort):
        click.echo("Interrupted. Nothing accepted is lost; run it again.", err=True)
        return 128 + (ending or signal.SIGINT)
    if isinstance(error, RatchetError):
        say_error(error)
        return error.exit_code
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    words = without_secrets("".join(traceback.format_exception(error)))
    click.echo(printable(words), nl=False, err=True)
    click.echo("This is a fault in Ratchet; please report it with the text above.", err=True)
    return 1
