#!/usr/bin/env python3
"""Where the benchmarks' tools cannot write: one sentence and status 2, never a fault of Python's.

    bench_output_test.py [-v]
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_tools import BENCH, MATPLOTLIB, SCIPY, ToolTest, as_json, by_process, entry  # noqa: E402
import outputs  # noqa: E402
from programs import Unusable  # noqa: E402

FULL = Path("/dev/full")
MANY = as_json(*(entry(f"BM_{i}") for i in range(5000)))
REFUSED = as_json(entry("BM_a", error_occurred=True), entry("BM_b"))


class Pipes(ToolTest):
    def leave(self, tool: str, *arguments: object, status: int) -> str:
        """Ends a tool whose reader leaves after a line at most."""
        process = subprocess.Popen([sys.executable, str(BENCH / tool), *map(str, arguments)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline() if status else ""
        process.stdout.close()
        complaint = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), complaint), (status, ""))
        return line

    def test_report(self) -> None:
        self.leave("report.py", self.write(MANY), status=0)
        self.leave("report.py", self.write(MANY), "--markdown=-", status=0)
        self.leave("report.py", self.write(REFUSED), status=1)

    @unittest.skipUnless(SCIPY, "there is no Python with scipy")
    def test_compare_ends_as_judged(self) -> None:
        base, head = (self.write(as_json(*(run for i in range(200)
                                           for run in by_process(f"BM_{i}", time, 16))),
                                 f"{time}.json") for time in (1, 2))
        self.leave("compare.py", base, base, status=0)
        self.assertIn("Regression: ", self.leave("compare.py", base, head, status=1))
        self.assertIn("Could not judge: ", self.leave("compare.py", base, "none", status=2))


class StandardOutput(ToolTest):
    def assert_lost(self, tool: str, *arguments: object) -> None:
        """Full, and closed."""
        with FULL.open("wb") as full:
            done = self.run_tool(tool, *arguments, status=2, stdout=full)
        self.assertIn("No space left on device", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        closed = self.run_tool(tool, *arguments, status=2, preexec_fn=lambda: os.close(1))
        self.assertIn("closed", closed.stderr)

    @unittest.skipUnless(FULL.exists(), "there is no /dev/full")
    def test_report(self) -> None:
        for content in [MANY, REFUSED]:
            path = self.write(content)
            self.assert_lost("report.py", path)
            self.assert_lost("report.py", path, "--markdown=-")
        self.assert_lost("report.py", "--chart=-")

    @unittest.skipUnless(FULL.exists() and SCIPY, "there is no /dev/full or no Python with scipy")
    def test_compare_never_ends_with_a_verdict_of_python(self) -> None:
        base, head = (self.write(as_json(*by_process("BM_a", time)), f"{time}.json")
                      for time in (1, 2))
        self.assert_lost("compare.py", base, head)
        self.assert_lost("compare.py", base, "none")
        out = self.folder / "a.md"
        self.assert_lost("compare.py", base, head, "--markdown", out)
        self.assertTrue(out.read_text().startswith("**Regression"), "the other output is lost too")

    @unittest.skipUnless(FULL.exists(), "there is no /dev/full")
    def test_nobody_hears_a_complaint(self) -> None:
        with FULL.open("wb") as full:
            self.run_tool("report.py", "none.json", status=2, stderr=full)


class Files(ToolTest):
    def unwritable(self) -> list[Path]:
        return [self.folder, self.folder / "none" / "a.out", self.write("", "file") / "a.out",
                *([FULL] if FULL.exists() else [])]

    def assert_said(self, out: str, err: str, path: Path) -> None:
        said = out + err
        self.assertIn(f"cannot write {path}: ", said)
        self.assertEqual(said.count("cannot write"), 1, said)

    def test_report(self) -> None:
        path = self.write(MANY)
        for flag in ["--markdown", *(["--html", "--svg"] if MATPLOTLIB else [])]:
            for target in self.unwritable():
                done = self.run_tool("report.py", path, "--kernel=BM_1$", flag, target, status=2)
                self.assert_said(done.stdout, done.stderr, target)

    def test_pages_of_kept_results(self) -> None:
        for flag in ["--markdown", "--chart"]:
            for target in self.unwritable():
                done = self.run_tool("report.py", flag, target, status=2)
                self.assert_said(done.stdout, done.stderr, target)
        self.assertIn("none.md: No such file", self.report("--readme", "none.md", status=2))

    @unittest.skipUnless(SCIPY, "there is no Python with scipy")
    def test_compare(self) -> None:
        base, head = (self.write(as_json(*by_process("BM_a", time)), f"{time}.json")
                      for time in (1, 2))
        for target in self.unwritable():
            done = self.run_tool("compare.py", base, head, "--markdown", target, status=2)
            self.assert_said(done.stdout, done.stderr, target)
            # Before anything is measured, but for what only writing can show.
            self.assertTrue(done.stdout.startswith(
                "Regression: " if target == FULL else "Could not judge: cannot write"), done.stdout)

    @unittest.skipUnless(SCIPY, "there is no Python with scipy")
    def test_markdown_says_also_what_could_not_be_judged(self) -> None:
        out = self.folder / "a.md"
        self.compare(self.write("{"), "HEAD", "--markdown", out, status=2)
        self.assertTrue(out.read_text().startswith("**Could not judge: "), out.read_text())

    def test_folders_of_results(self) -> None:
        path = self.write("", "file")
        self.assertRaises(Unusable, outputs.make_folder, path / "folder")
        self.assertRaises(Unusable, outputs.make_folder, path)


class WholeFiles(ToolTest):
    def test_an_older_file_stays_if_the_disk_is_full(self) -> None:
        path = self.write("old", "a.md")
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        for method in ["write_bytes", "chmod"]:
            with mock.patch.object(Path, method, side_effect=full):
                self.assertRaises(Unusable, outputs.write_file, path, "new")
            self.assertEqual([p.name for p in self.folder.iterdir()], ["a.md"])
            self.assertEqual(path.read_text(), "old")

    def test_a_link_and_its_rights_stay(self) -> None:
        path = self.write("old", "a.md")
        path.chmod(0o640)
        link = self.folder / "latest.md"
        link.symlink_to("a.md")
        outputs.write_file(link, "new")
        self.assertTrue(link.is_symlink())
        self.assertEqual((path.read_text(), path.stat().st_mode & 0o777), ("new", 0o640))

    def test_a_file_beside_which_nothing_can_be_written(self) -> None:
        path = self.write("old", "a.md")
        busy = OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        with mock.patch("outputs.os.replace", side_effect=busy):
            outputs.write_file(path, "new")
        self.assertEqual(path.read_text(), "new")

    def test_a_pipe_stays_a_pipe(self) -> None:
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
        outputs.write_file(pipe, "new")
        self.assertEqual(reader.communicate()[0], b"new")
        self.assertTrue(pipe.is_fifo())

    def test_standard_output_by_its_name(self) -> None:
        path = self.write(as_json(entry("BM_a")))
        self.assertIn("BM_a", self.report(path, "--markdown=/dev/stdout"))


if __name__ == "__main__":
    unittest.main()
