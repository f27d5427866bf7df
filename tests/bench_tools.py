"""What tests of the benchmarks' tools share: Google Benchmark's JSON, and running a tool."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Iterator, Optional, Union

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
sys.path.insert(0, str(BENCH))

from programs import python_with  # noqa: E402

# For what only some Pythons have.
SCIPY = python_with("scipy")
MATPLOTLIB = python_with("matplotlib")


def entry(name: str, nanoseconds: object = 1.0, **more: object) -> dict:
    """As version 1.9 of the library writes a repetition, but for its places in the program."""
    return {"name": name, "run_name": name, "run_type": "iteration", "repetitions": 1,
            "repetition_index": 0, "threads": 1, "iterations": 10, "real_time": nanoseconds,
            "cpu_time": nanoseconds, "time_unit": "ns", **more}


def old_entry(name: str, nanoseconds: float = 1.0, **more: object) -> dict:
    """As version 1.4 of the library writes repetitions and aggregates alike."""
    return {"name": name, "iterations": 10, "real_time": nanoseconds, "cpu_time": nanoseconds,
            "time_unit": "ns", **more}


def by_process(name: str, nanoseconds: float, count: int = 14, **more: object) -> Iterator[dict]:
    """As compare.py leaves them."""
    for process in range(count):
        yield entry(name, nanoseconds * (1 + process / 1000), process=process, **more)


def as_json(*entries: object, **context: object) -> str:
    return json.dumps({"context": context, "benchmarks": entries}, indent=1)


class ToolTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a folder ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, content: Union[str, bytes], name: str = "a.json") -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run_tool(self, tool: str, *arguments: object, status: int = 0,
                 **options: Any) -> subprocess.CompletedProcess:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run([sys.executable, str(BENCH / tool), *map(str, arguments)],
                              check=False, **{**streams, "cwd": self.folder, **options})
        out, err = (text.decode() if text else "" for text in (done.stdout, done.stderr))
        self.assertEqual(done.returncode, status, out + err)
        self.assertNotIn("Traceback", err)
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def report(self, *arguments: object, status: int = 0, **options: Any) -> str:
        """What is said: the report, or what is wrong."""
        done = self.run_tool("report.py", *arguments, status=status, **options)
        return done.stderr if status == 2 else done.stdout

    def report_of(self, content: Union[str, bytes], *arguments: object, status: int = 0) -> str:
        return self.report(self.write(content), *arguments, status=status)

    def compare(self, *arguments: object, status: Optional[int] = 0, **options: Any) -> str:
        return self.run_tool("compare.py", *arguments, status=status, **options).stdout

    def times(self, report: str) -> dict[str, str]:
        """Of the plain table of a report, by name."""
        table = report.partition("Other benchmarks\n")[2].partition("\n\n")[0]
        rows = [re.split("  +", line) for line in table.splitlines()[1:]]
        return {row[0]: row[1] for row in rows}
