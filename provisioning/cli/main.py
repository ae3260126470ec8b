"""The `twinroot` command: finds the file of a command when it is asked for, adds the options that all commands have, and turns every
error into one sentence, a next step and an exit code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from typing import Any

import click

from provisioning import __version__
from provisioning.cli._output import OutputLost, as_object, emit, mode, say, tell
from provisioning.errors import InputError, Interrupted, StationError, TwinrootError

# Command, and the line of help that the overview shows: the files are imported only when their command runs, so that
# `twinroot --help` costs no import of theirs: measured, 0.09 s of processor instead of 0.24 s. The file of `jdk-policy` is jdk_policy.py.
COMMANDS = {
    "demo": "The whole product without hardware: virtual board, stand-in cloud, failover.",
    "boards": "Board types: list, show one, print the JSON Schemas.",
    "check": "Check a product file and everything it names; writes nothing.",
    "init": "A product to start from, with a CA for the bench and identities.",
    "identity": "Keys, requests and certificates of devices, made on this host.",
    "render": "Write the exact files that a board would get into a folder.",
    "flash": "Blank board to PASS: firmware, file system, first report.",
    "update": "Write a product to a board that runs MicroPython.",
    "verify": "Read back, hash, and ask the board for its own report.",
    "rollback": "Go back to the set before the active one.",
    "rescue": "A board whose program holds it, got back with all its files; backup and restore.",
    "station": "A row of boards from a CSV of devices.",
    "ledger": "What was done to which board: show, verify, export, seal, record.",
    "label": "Labels of boards that passed: print again, open tasks, a preview.",
    "dashboard": "The ledger as a live page, for a second screen and for supervisors.",
    "sbom": "What is put on a board, as CycloneDX or SPDX; known vulnerabilities.",
    "endpoint": "Class, region, roots and the other endpoint of the pair of a host.",
    "trust": "Roots: list, check files, probe live servers.",
    "aws": "Ask AWS for endpoints, register devices, send jobs, read the index.",
    "migrate": "Plan the way from one root to the other.",
    "sign": "Keys and signatures for sets that go over the air.",
    "jdk-policy": "The policy file for Java clients of a VeriSign endpoint.",
    "rehearse": "flash, station, update or verify on virtual boards; nothing is kept.",
    "doctor": "What this station has, and what it lacks.",
    "devices": "Which boards are here: a device map, scan and show.",
    "record": "A session on a port as a file, which a virtual board plays again.",
    "support-bundle": "Logs, versions and configuration in one file for whoever helps; no secrets.",
    "virtual": "Boards that are not there: virtual ESP32 boards.",
    "cloud": "A local stand-in for AWS IoT with both kinds of endpoint.",
}


def _set_json(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    mode.json = mode.json or value


def _set_debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    mode.debug = mode.debug or value


def _with_common_options(command: click.Command) -> click.Command:
    """Give `command`, and every command below it, --json and --debug."""
    names = {option for parameter in command.params for option in parameter.opts}
    if "--json" not in names:
        command.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_set_json,
                help="One JSON object on standard output.",
            )
        )
    if "--debug" not in names:
        command.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_set_debug,
                help="Show the traceback of an error.",
            )
        )
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _with_common_options(child)
    return command


def _module_of(name: str) -> str:
    return f"provisioning.cli.{name.replace('-', '_')}"


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(_module_of(name)) is not None


# Commands whose result is a job's report.
JOBS = frozenset({"flash", "update", "verify", "rollback", "rescue"})


class LazyCommands(click.Group):
    """A group whose commands are files of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if _is_there(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or not _is_there(cmd_name):
            return None
        mode.command = cmd_name
        command: click.Command = importlib.import_module(_module_of(cmd_name)).command
        command.name = cmd_name
        return _with_common_options(command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            import difflib

            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"Did you mean `twinroot {near[0]}`?" if near else "`twinroot --help` lists the commands."
            raise InputError("unknown-command", f"There is no command {name!r}.", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, COMMANDS[name]) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="twinroot")
def cli() -> None:
    """Provision ESP32 boards that run MicroPython and trust two roots.

    Exit codes: 0 pass, 1 the board failed, 2 the input is wrong, 3 the station is wrong, 130 interrupted.
    """


_with_common_options(cli)


def _as_object(error: TwinrootError) -> dict[str, Any]:
    """What --json prints of an error: a job's report has all its fields, whatever ended it before it had begun."""
    if mode.command in JOBS:
        from provisioning.job.report import Report

        return Report().failed(error).as_dict()
    return as_object(error)


def _report(error: TwinrootError) -> int:
    """Print `error` for people and, with --json, as the run's one object; returns the exit code."""
    if mode.json and not isinstance(error, OutputLost):
        emit(_as_object(error))
    tell(error)
    return error.exit_code


def _no_command(ctx: click.Context | None) -> InputError:
    """Instead of click's own message, which is the whole help."""
    where = ctx.command_path if ctx else "twinroot"
    names = ctx.command.list_commands(ctx) if ctx and isinstance(ctx.command, click.Group) else []
    return InputError("no-command", f"`{where}` needs one of: {', '.join(names)}.", f"`{where} --help` says what each does.")


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; every failure has been reported by then."""
    # Read ahead: an option that is wrong ends the parsing before --json is seen, and a script wants its object all the same.
    mode.json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    mode.debug = False
    mode.command = ""
    try:
        result: Any = cli.main(args=arguments, prog_name="twinroot", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except TwinrootError as error:
        failure: BaseException = error
        code = _report(error)
    except click.exceptions.NoArgsIsHelpError as error:
        failure = error
        code = _report(_no_command(error.ctx))
    except click.UsageError as error:
        failure = error
        where = error.ctx.command_path if error.ctx else "twinroot"
        code = _report(InputError("bad-arguments", error.format_message(), f"`{where} --help` shows the arguments."))
    except click.ClickException as error:
        failure = error
        code = _report(InputError("bad-arguments", error.format_message(), "`twinroot --help` lists the commands and what they take."))
    except (KeyboardInterrupt, click.Abort) as error:
        failure = error
        code = _report(Interrupted("interrupted", "Interrupted.", "Run the same command again; it goes on where this one stopped."))
    except SystemExit as error:
        # click ends the run itself, with 1, when a pipe breaks under its own output (`twinroot --help | head`). 1 is a board's failure.
        return 3 if error.code else 0
    except OSError as error:
        # What nobody foresaw, and the system says what it is.
        failure = error
        what = ": ".join(str(part) for part in (error.filename, error.strerror or type(error).__name__) if part)
        code = _report(StationError("system-refused", f"The system refused: {what}.", "Check the path, its permissions and the disk."))
    except Exception as error:  # noqa: BLE001  a factory line needs a sentence and a code for what nobody foresaw, too
        failure = error
        code = _report(
            TwinrootError(
                "internal-error",
                f"twinroot itself failed: {type(error).__name__}: {error}",
                "Run the command again with --debug and report what it prints.",
            )
        )
    if mode.debug:
        say("".join(traceback.format_exception(type(failure), failure, failure.__traceback__)).rstrip())
    return code
