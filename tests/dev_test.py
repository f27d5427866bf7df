#!/usr/bin/env python3
"""./dev called from another folder: paths among the arguments of demo and bench mean that folder.

    dev_test.py [-v]

A copy of dev runs here beside programs that only pretend, so that nothing is built or installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_tools import ROOT, SCIPY, ToolTest, as_json, by_process, entry  # noqa: E402

# Says where it runs and with which arguments.
SAY = """#!{python}
import json, os, sys
print(json.dumps([os.getcwd(), *sys.argv]))
"""
# What dev asks for, all of it there.
ASKED_FOR = ["cmake", "ninja", "g++", "pkg-config"]


class DevTest(ToolTest):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.folder.resolve()
        self.tree = self.folder / "a tree"
        self.programs = self.folder / "programs"
        self.caller = self.folder / "elsewhere"
        for folder in [self.tree, self.programs, self.caller]:
            folder.mkdir()
        shutil.copy(ROOT / "dev", self.tree / "dev")
        self.program(self.programs / "dpkg-query", "#!/bin/sh\necho 'install ok installed'\n")
        for name in ASKED_FOR:
            self.program(self.programs / name, "#!/bin/sh\n")

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{python}", sys.executable))
        path.chmod(0o755)

    def dev(self, *arguments: object, status: int = 0, dev: str = "../a tree/dev") -> str:
        path = f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(["sh", dev, *map(str, arguments)], cwd=self.caller, text=True,
                              env={**os.environ, "PATH": path, "CDPATH": str(self.folder)},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout


class Folders(DevTest):
    def run_there(self, program: str, *arguments: object) -> list[str]:
        """What a program that pretends was called with, behind its own path."""
        self.program(self.tree / program, SAY)
        where, path, *rest = json.loads(self.dev(*arguments))
        self.assertEqual((where, path), (str(self.caller), str(self.tree / program)))
        return rest

    def test_report_and_compare(self) -> None:
        for verb in ["report", "compare"]:
            arguments = ["a.json", "../b c.json", "--markdown", "out.md"]
            found = self.run_there(f"bench/{verb}.py", "bench", verb, *arguments)
            self.assertEqual(found, arguments)

    def test_bench(self) -> None:
        found = self.run_there("bench/run.py", "bench", "--no-peers", "--markdown", "out.md")
        self.assertEqual(found, ["--build", str(self.tree / "build/bench"), "--no-peers",
                                 "--markdown", "out.md"])

    def test_gate_check(self) -> None:
        found = self.run_there("bench/gate_check.py", "bench", "gate-check", "--results", "here")
        self.assertEqual(found, [
            "--results", str(self.tree / "build/gate-check"), "--program",
            str(self.tree / "build/release/tests/lockstep_planted_bench"), "--results", "here"])

    def test_demo(self) -> None:
        found = self.run_there("build/debug/rnn/command/lockstep", "demo", "--preset", "debug",
                               "--model", "x.safetensors")
        self.assertEqual(found, ["train", "--dataset", "synthetic-control", "--model",
                                 "x.safetensors"])


class Tools(DevTest):
    """As they are."""

    def setUp(self) -> None:
        super().setUp()
        for name in ["bench", "docs"]:
            (self.tree / name).symlink_to(ROOT / name)

    def test_report(self) -> None:
        (self.caller / "good.json").write_text(as_json(entry("BM_a")))
        self.dev("bench", "report", "good.json", "--markdown", "out.md")
        self.assertIn("`BM_a`", (self.caller / "out.md").read_text())
        self.assertFalse((ROOT / "out.md").exists())

    @unittest.skipUnless(SCIPY and shutil.which("git"), "there is no Python with scipy, or no git")
    def test_compare(self) -> None:
        for time in (1, 2):
            (self.caller / f"{time}.json").write_text(as_json(*by_process("BM_a", time)))
        self.assertIn("Regression", self.dev("bench", "compare", "1.json", "2.json", status=1))
        self.dev("bench", "compare", "1.json", "none.json", status=2)


if __name__ == "__main__":
    unittest.main()
