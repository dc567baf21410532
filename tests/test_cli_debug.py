"""`tile-emu debug` as a user has it: a process, commands on its input or command line, what it prints, how it ends."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tile_emu.cli.entry import run

ROOT = Path(__file__).resolve().parent.parent
TOOL = [sys.executable, "-c", "from tile_emu.cli import main; main()"]
SOURCE = """
.globl twice
.globl endless
twice:
  ld32 $m0, $mvertex_base, $mzero, 0
  ld32 $m1, $m0, $mzero, 0
  add $m1, $m1, $m1
store:
  st32 $m1, $m0, $mzero, 0
  exitz $mzero
endless:
  bri endless
bad:
  ld32 $m1, $mzero, $mzero, 0
  exitz $mzero
"""
STATE = 'workers = [0]\n[arrays.x]\ndtype = "u32"\nvalues = [21]\n[state.fields]\nx = "@x"\n'


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "twice.S").write_text(SOURCE)
    (tmp_path / "state.toml").write_text(STATE)
    return [str(tmp_path / "twice.S"), "--state", str(tmp_path / "state.toml")]


def debug(files: list[str], entry: str, *more: str, typed: str = "") -> tuple[int, str, str]:
    command = [*TOOL, "debug", *files, "--entry", entry, *more]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


def commands(*lines: str) -> list[str]:
    return [word for line in lines for word in ("--command", line)]


def test_a_session_from_a_pipe(files: list[str]) -> None:
    typed = "break store\nwatch @x\nrun\nwhere\nprint $m1\ncontinue\nmemory @x u32 1\ncontinue\nprint @x\n"
    status, out, errors = debug(files, "twice", typed=typed)
    assert (status, errors) == (0, "")
    assert re.search(r"breakpoint\nworker 0 at 0x4c00c \(store, .*twice\.S:9\): st32 \$m1, \$m0, \$m15, 0", out)
    assert re.search(r"worker 0 +next +0x4c00c", out)
    assert re.search(r"^\$m1 +0x0000002a +42", out, re.MULTILINE)
    assert "watchpoint: write of 4 bytes at 0x80000" in out and "0x80000: 0x15 -> 0x2a" in out
    assert out.count("0x80000  0x0000002a") == 2
    assert "\nended\n" in out and "(tile)" not in out


def test_commands_on_the_command_line(files: list[str]) -> None:
    status, out, errors = debug(files, "twice", *commands("s 2", "list", "registers", "csr", "acc", "x store u16 2"))
    assert (status, errors) == (0, "")
    assert re.search(r"^> +0x4c008 ", out, re.MULTILINE)
    assert re.search(r"^\$m1 +0x00000015", out, re.MULTILINE)
    assert "$FP_CTL" in out and "$AACC[ 0]" in out


def test_run_starts_anew(files: list[str]) -> None:
    status, out, _ = debug(files, "twice", *commands("run", "run", "print @x"))
    assert status == 0 and out.count("ended") == 2 and "0x0000002a" in out


def test_exit_status(files: list[str]) -> None:
    status, out, _ = debug(files, "bad", *commands("run"))
    assert status == 1 and "fault: INVALID_ADDR" in out
    status, out, errors = debug(files, "twice", *commands("break nowhere", "run"))
    assert status == 2 and "no symbol 'nowhere'" in errors and "ended" not in out


WRONG = ("fly", "watch", "print $m99", "memory @y", "step x", "step 1 9", "until", "x @x f99", 'break "a', "x 1 u32 -1")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_ends_with_2(files: list[str], wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["debug", *files, "--entry", "twice", *commands(wrong, "run")]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1 and "ended" not in shown.out


def test_no_such_entry(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["debug", *files, "--entry", "nowhere"]) == 2
    assert "no symbol 'nowhere'" in capsys.readouterr().err


def test_end_of_input_leaves(files: list[str]) -> None:
    assert debug(files, "twice")[:2] == (0, "")
    assert debug(files, "twice", typed="quit\nrun\n")[:2] == (0, "")


class Terminal:
    """The prompt at a terminal."""

    def __init__(self, arguments: list[str]) -> None:
        import pty

        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            [*TOOL, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str, again: Callable[[], object] | None = None) -> str:
        """Everything printed up to a text; what comes later stays for the next call.

        ``again`` is called whenever a second passes in silence.
        """
        end = time.monotonic() + 600
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 1.0)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode()
                except OSError:  # the process has gone
                    raise AssertionError(f"no '{text}' in what followed: {self.seen!r}") from None
            elif again is not None:
                again()
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def interrupt(self) -> None:
        """What Ctrl-C sends. Between the end of the prompt and the wait for a key nobody notices: send it again."""
        self.process.send_signal(signal.SIGINT)

    def close(self) -> int:
        status = self.process.wait(60)
        os.close(self.master)
        return status


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_at_a_terminal_interrupts_come_back_to_the_prompt(files: list[str]) -> None:
    terminal = Terminal(["debug", *files, "--entry", "endless"])
    terminal.until("(tile) ")
    terminal.type("fly\n")
    assert "no command 'fly'" in terminal.until("(tile) ")
    terminal.type("step\n")  # compiles, if need be
    terminal.until("endless")
    terminal.until("(tile) ")
    terminal.type("continue\n")
    terminal.until("continue")
    assert "interrupted" in terminal.until("interrupted", again=terminal.interrupt)
    terminal.until("(tile) ")
    terminal.interrupt()  # at the prompt: a fresh line
    terminal.until("(tile) ", again=terminal.interrupt)
    terminal.type("where\n")
    assert "endless" in terminal.until("(tile) ")
    terminal.type("\x04")
    assert terminal.close() == 0
