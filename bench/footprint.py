"""What the shared libraries cost a program: sizes, and times of loading and first calls."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, Optional

from results import Result

PROCESSES = 200
# A line of lockstep_startup: what, and the quartile, median and quartile in microseconds.
STEP = re.compile(r"(?P<step>load the \w+|first \w+)\s+[\d.]+\s+(?P<median>[\d.]+)\s+[\d.]+")


def library(build: Path, name: str) -> Optional[Path]:
    return next(build.glob(f"*/liblockstep_{name}.so"), None)


def stripped_size(path: Path) -> float:
    """In MB; as it is where there is no `strip`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        if shutil.which("strip"):
            subprocess.run(["strip", copy], check=False)
        return copy.stat().st_size / 1e6


def footprint(build: Path, backend: str) -> Iterator[Result]:
    """Nothing where the shared libraries are not built."""
    libraries = [library(build, name) for name in ("kernels", "rnn")]
    program = build / "bench" / "lockstep_startup"
    if not all(libraries) or not program.exists():
        return
    for path in libraries:
        yield Result("size", path.name, 1, backend, "MB", float(f"{stripped_size(path):.3g}"))
    done = subprocess.run([program, *libraries, str(PROCESSES)], stdout=subprocess.PIPE, text=True,
                          check=False)
    for match in map(STEP.match, done.stdout.splitlines()):
        if match:
            yield Result("startup", match["step"], 1, backend, "us", float(match["median"]))
