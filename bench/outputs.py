"""What a tool writes, and how it ends: status 1 is an answer of some, so no fault may give it."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import Callable, NoReturn, Union

from programs import Unusable, say, silence

STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1")
# Where a file may be written, but none beside it or none in its place.
IN_PLACE = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENAMETOOLONG)


# The standard output.

def to_standard_output(action: Callable[[], None]) -> None:
    """A reader that leaves has seen enough; raises Unusable for what else may go wrong."""
    if sys.stdout is None:
        raise Unusable("cannot write to the standard output: it is closed")
    try:
        action()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        raise Unusable(f"cannot write to the standard output: {error.strerror}") from error


def print_text(text: str) -> None:
    def action() -> None:
        # A terminal may know fewer characters than names have.
        sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)

    to_standard_output(action)


# Files.

def replace_file(path: Path, data: bytes) -> None:
    """Whole or not at all. A link stays one."""
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        if target.exists():
            partial.chmod(target.stat().st_mode & 0o7777)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def write_data(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file() or path.parts[:2] in [("/", "dev"), ("/", "proc")]:
        path.write_bytes(data)  # Devices and pipes keep their place.
        return
    try:
        replace_file(path, data)
    except OSError as error:
        if error.errno not in IN_PLACE or not path.exists():
            raise
        path.write_bytes(data)


def write_file(path: Union[str, Path], text: str) -> None:
    """Raises Unusable."""
    try:
        write_data(Path(path), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise Unusable(f"cannot write {path}: {error.strerror}") from error


def write(path: Union[str, Path], text: str) -> None:
    """Text without its last newline; some paths are the standard output."""
    if str(path) in STANDARD_OUTPUT:
        print_text(text)
    else:
        write_file(path, text + "\n")


def make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"cannot write to {path}: {error.strerror}") from error


def require_writable(path: Union[str, Path]) -> None:
    """Before minutes are spent. Leaves no file that was not there."""
    if str(path) in STANDARD_OUTPUT:
        return
    existed = os.path.lexists(path)
    try:
        Path(path).open("a", encoding="utf-8").close()
        if not existed:
            Path(path).unlink()
    except OSError as error:
        raise Unusable(f"cannot write {path}: {error.strerror}") from error


# The end.

Complain = Callable[[str], None]


def status_of(main: Callable[[], int], complain: Complain) -> int:
    try:
        return main()
    except Unusable as problem:
        complain(str(problem))
    except SystemExit as end:  # of argparse, and of signals
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        complain(str(end.code))
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except BrokenPipeError:
        silence(sys.stdout)  # That of argparse, which prints by itself.
    except OSError as error:
        complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    except Exception as fault:
        traceback.print_exc()
        complain(f"{type(fault).__name__}: {fault}")
    return 2


def flush() -> int:
    if sys.stdout is not None:
        to_standard_output(sys.stdout.flush)
    return 0


def run_tool(main: Callable[[], int], complain: Complain = say) -> NoReturn:
    """Ends the interpreter with main's status, and with 2 where main cannot say what it found."""
    status = status_of(lambda: status_of(main, complain), say)
    sys.exit(max(status, status_of(flush, say)))
