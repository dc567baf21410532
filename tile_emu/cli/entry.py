"""Entry point: turns every way a command can end into an exit status and at most one line on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from tile_emu.cli.app import app
from tile_emu.errors import TileEmuError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status. Prints at most one line on stderr about what went wrong."""
    try:
        # Not app(...): that has its own ideas about interrupts and closed pipes, which differ between versions.
        command = typer.main.get_command(app)
        with command.make_context("tile-emu", list(arguments) or ["--help"]) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as end:
        sys.stdout.flush()
        return end.exit_code
    except TileEmuError as error:
        return _say(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _say(": ".join(["interrupted", *map(str, error.args)]), INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nobody is left to tell. Keep the interpreter's last flush quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        return _say(f"not enough memory on this computer: {error or 'allocation failed'}", 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{error.strerror or error}", 1)
    except Exception as error:
        # Typer's own usage errors (which class depends on its version) know how to say what was wrong.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        where = getattr(error, "ctx", None)
        hint = f" (see '{where.command_path} --help')" if where is not None else ""
        return _say(f"{message()}{hint}", int(getattr(error, "exit_code", 2)))


def _say(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"tile-emu: {line}", file=sys.stderr)
    return status


def main() -> None:
    """Console script ``tile-emu``."""
    status = run(sys.argv[1:])
    if status == INTERRUPTED:
        # Emulator threads may still be inside compiled code; do not wait for them.
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
