"""Running programs, which end when we are made to end; and how a command says what is wrong."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional, Sequence, TextIO

from texts import harmless

# Seconds that a program has to end when asked, before it is killed.
PATIENCE = 10


class Unusable(Exception):
    """One sentence for the user; exit status 2."""


def silence(stream: TextIO) -> None:
    """What it still holds goes nowhere, so that the interpreter's last flush cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def say(message: str, who: str = "bench") -> None:
    """That nobody listens changes no status."""
    if sys.stderr is None:
        return
    try:
        print(f"{who}: {message}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def run_program(command: Sequence[object], **options: Any) -> int:
    """The status of a program, which ends when we are made to end. Options are Popen's."""
    try:
        process = subprocess.Popen([str(part) for part in command], **options)
    except OSError as error:
        say(f"cannot run {command[0]}: {error.strerror}")
        return 127
    try:
        return process.wait()
    except BaseException:
        stop(process)
        raise


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def last_lines(path: Path, count: int = 15) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(map(harmless, lines[-count:]))


def python_with(module: str) -> Optional[str]:
    """The first interpreter that has a module; PYTHON, if set, is asked first."""
    for name in (os.environ.get("PYTHON"), sys.executable, "/usr/bin/python3"):
        if name and shutil.which(name) and subprocess.run(
                [name, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0:
            return name
    return None


def need_module(module: str, package: str) -> None:
    """Starts this script again under a Python that has the module, if this one has not: only a
    distribution's own Python sees the packages it installs."""
    if importlib.util.find_spec(module):
        return
    other = python_with(module)
    if other is None:
        raise Unusable(f"there is no Python with {module} (Debian's package: {package})")
    os.execv(other, [other, *sys.argv])
