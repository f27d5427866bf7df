#!/usr/bin/env python3
"""docs/ci/benchmark.sh with a ./dev that only pretends: its exit status, and what it leaves.

    bench_ci_test.py [-v]

Skipped (77) without git.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "docs" / "ci" / "benchmark.sh"

# Ends with FAKE_TEST or FAKE_COMPARE; a comparison writes down what it was called with.
DEV = """#!/bin/sh
case "$1 ${2:-}" in
  test*) exit "${FAKE_TEST:-0}" ;;
  "bench compare") echo "the verdict" && echo "$@" >compared && exit "${FAKE_COMPARE:-0}" ;;
esac
"""


class CiTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a folder ")
        self.addCleanup(folder.cleanup)
        self.repository = Path(folder.name, "repository")
        self.out = Path(folder.name, "out")
        script = self.repository / "docs" / "ci" / SCRIPT.name
        script.parent.mkdir(parents=True)
        shutil.copy(SCRIPT, script)
        dev = self.repository / "dev"
        dev.write_text(DEV)
        dev.chmod(0o755)
        self.git("init", "-q", "-b", "main")
        for branch in ["main", "change"]:
            self.git("checkout", "-q", "-B", branch)
            self.git("commit", "-q", "--allow-empty", "-m", branch)

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", "-C", str(self.repository), "-c", "user.name=a", "-c",
                               "user.email=a@b.c", "-c", "commit.gpgsign=false", *arguments],
                              text=True, check=True, stdout=subprocess.PIPE).stdout.strip()

    def run_script(self, *arguments: object, status: int, **environment: str) -> str:
        done = subprocess.run(["sh", str(self.repository / "docs" / "ci" / SCRIPT.name),
                               *map(str, arguments)], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, **environment})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stderr

    def test_compares_with_where_the_change_began(self) -> None:
        fork = self.git("rev-parse", "main")
        self.git("checkout", "-q", "main")
        self.git("commit", "-q", "--allow-empty", "-m", "gained since")
        self.git("checkout", "-q", "change")
        self.run_script("main", self.out, "--threads", "2", status=0)
        compared = (self.repository / "compared").read_text()
        self.assertTrue(compared.startswith(f"bench compare {fork} HEAD --threads 2 "), compared)
        self.assertEqual((self.out / "compare.md").read_text(), "the verdict\n")

    def test_status_of_the_comparison(self) -> None:
        for compared, strict, status in [("0", "1", 0), ("1", "0", 1), ("2", "0", 0),
                                         ("2", "1", 2), ("130", "0", 130)]:
            self.run_script("main", self.out, status=status, FAKE_COMPARE=compared, STRICT=strict)

    def test_status_of_the_tests(self) -> None:
        self.run_script("main", self.out, status=1, FAKE_TEST="8")
        self.run_script("main", self.out, status=0, FAKE_TEST="8", SKIP_TESTS="1")

    def test_no_common_commit_is_no_regression(self) -> None:
        self.git("checkout", "-q", "--orphan", "unrelated")
        self.git("commit", "-q", "--allow-empty", "-m", "unrelated")
        for base in ["main", "no-such-branch"]:
            self.assertIn(f"HEAD and {base} have no commit in common",
                          self.run_script(base, self.out, status=2))
            self.assertIn("Could not judge", (self.out / "compare.md").read_text())

    def test_missing_arguments(self) -> None:
        self.assertIn("are needed", self.run_script("main", status=2))


if __name__ == "__main__":
    if shutil.which("git") is None:
        print("skipped: there is no git")
        sys.exit(77)
    unittest.main()
