#!/usr/bin/env python3
"""bench/compare.py with real builds of a tiny suite: revisions, build folders, and what goes wrong.

    bench_compare_test.py [-v]

Times are judged with so much tolerance that only a program several times slower is a regression.
Skipped (77) without SciPy, git, CMake or Google Benchmark.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Optional
from unittest import mock

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from programs import python_with  # noqa: E402
from sides import Builder  # noqa: E402

GOOGLES_COMPARE = Path("/usr/share/benchmark/compare.py")
COARSE = ["--tolerance=50", "--resolution=400", "--processes=9", "--benchmark_min_time=0.001"]

CMAKE = """cmake_minimum_required(VERSION 3.18)
project(tiny CXX)
find_package(benchmark REQUIRED)
add_executable(tiny_bench tiny.cc)
set_target_properties(tiny_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY
  "${CMAKE_BINARY_DIR}/in a folder")
target_link_libraries(tiny_bench PRIVATE benchmark::benchmark)
"""
SOURCE = """#include <benchmark/benchmark.h>
#include <cstdlib>

static void spin(benchmark::State& state, int rounds) {
  for (auto _ : state) {
    for (int i = 0; i < rounds; ++i) benchmark::DoNotOptimize(i);
  }
}
BENCHMARK_CAPTURE(spin, constant, 2000);
BENCHMARK_CAPTURE(spin, planted, ROUNDS);
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (CRASHES) std::abort();
  benchmark::RunSpecifiedBenchmarks();
}
"""


def source(rounds: int = 2000, crashes: bool = False) -> str:
    return SOURCE.replace("ROUNDS", str(rounds)).replace("CRASHES", str(int(crashes)))


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c",
                           "-c", "commit.gpgsign=false", *arguments], text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


class CompareTest(unittest.TestCase):
    """All share a repository, and what was built of it."""

    folder: Optional[Path] = None

    @classmethod
    def setUpClass(cls) -> None:
        if CompareTest.folder is None:
            CompareTest.make_repository()

    @classmethod
    def make_repository(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="a folder "))
        unittest.addModuleCleanup(shutil.rmtree, cls.folder)
        cls.repository = cls.folder / "a repository"
        cls.repository.mkdir()
        cls.scratch = cls.folder / "scratch"
        git(cls.repository, "init", "-q", "-b", "main")
        for tag, files in [
                ("base", {"CMakeLists.txt": CMAKE, ".gitignore": "/build/\n",
                          "tiny.cc": source()}),
                ("slower", {"tiny.cc": source(rounds=8000)}),
                ("crashing", {"tiny.cc": source(crashes=True)}),
                ("broken", {"tiny.cc": "no program\n"}),
                ("slow-to-configure", {"CMakeLists.txt": "execute_process(COMMAND sleep 60)\n"})]:
            for name, text in files.items():
                (cls.repository / name).write_text(text)
            git(cls.repository, "add", ".")
            git(cls.repository, "commit", "-q", "-m", tag)
            git(cls.repository, "tag", tag)
        git(cls.repository, "checkout", "-q", "slower")

    def command(self, *arguments: object, program: str = "in a folder/tiny_bench") -> list[str]:
        return [sys.executable, str(ROOT / "bench" / "compare.py"), *map(str, arguments), *COARSE,
                f"--repository={self.repository}", f"--program={program}",
                f"--results={self.folder / 'the results'}", f"--scratch={self.scratch}"]

    def compare(self, *arguments: object, status: int, **options: str) -> tuple[str, str]:
        done = subprocess.run(self.command(*arguments, **options), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assert_clean()
        return done.stdout, done.stderr

    def assert_clean(self) -> None:
        worktrees = git(self.repository, "worktree", "list", "--porcelain")
        self.assertEqual(worktrees.count("worktree "), 1, worktrees)
        self.assertEqual(list(self.scratch.glob("source")), [])


class Revisions(CompareTest):
    def test_planted_regression(self) -> None:
        out, _ = self.compare("base", "HEAD", status=1)
        self.assertRegex(out, r"^Regression: 1 of 2 benchmarks .*: spin/planted \([2-9]")

    def test_a_revision_beside_itself(self) -> None:
        out, _ = self.compare("HEAD", "HEAD", status=0)
        self.assertTrue(out.startswith("No regression: of 2 benchmarks"), out)
        self.assertIn("measured 9 times", out)

    def test_is_built_once(self) -> None:
        self.compare("HEAD", "slower", status=0)
        _, err = self.compare("slower", "slower", status=0)
        self.assertNotIn("building", err)

    def test_is_built_again_by_another_compiler_or_flags(self) -> None:
        builder = Builder(self.repository, self.scratch, Path("a"), ["-DA=1"])
        other = self.folder / "another compiler"
        other.write_text("#!/bin/sh\necho another 1.0\n")
        other.chmod(0o755)
        changed = [("CXX", f"'{other}'"), ("CXXFLAGS", "-O1"), ("LDFLAGS", "-g")]
        keys = [builder.settings(), replace(builder, cmake_arguments=["-DA=2"]).settings()]
        for name, value in changed:
            with mock.patch.dict(os.environ, {name: value}):
                keys.append(builder.settings())
        chosen = replace(builder, cmake_arguments=[f"-DCMAKE_CXX_COMPILER={other}"])
        keys.append(chosen.settings())
        other.write_text("#!/bin/sh\necho another 1.1\n")
        keys.append(chosen.settings())
        self.assertEqual(len(set(keys)), len(keys))
        self.assertEqual(builder.settings(), keys[0])

    def test_changes_are_not_measured(self) -> None:
        changed = self.repository / "tiny.cc"
        before = changed.read_text()
        self.addCleanup(changed.write_text, before)
        changed.write_text("not committed\n")
        _, err = self.compare("HEAD", "HEAD", status=0)
        self.assertIn("the working tree has changes that are not in HEAD", err)

    def test_build_folder_and_saved_file(self) -> None:
        self.compare("slower", "slower", status=0)
        build = next(program.parent.parent for program in
                     self.scratch.glob("*/in a folder/tiny_bench")
                     if git(self.repository, "rev-parse", "slower").startswith(
                         program.parent.parent.name.split("-")[0]))
        out, _ = self.compare("base", build, status=1)
        self.assertIn("spin/planted", out)
        saved = self.folder / "saved.json"
        shutil.copy(self.folder / "the results" / "base.json", saved)
        out, _ = self.compare(saved, build, status=1)
        self.assertIn("nothing tells that BASE and HEAD were measured alternately", out)

    def test_selection(self) -> None:
        out, _ = self.compare("base", "slower", "--benchmark_filter=constant", status=0)
        self.assertIn("of 1 benchmarks", out)


class Failures(CompareTest):
    def test_does_not_build(self) -> None:
        out, _ = self.compare("HEAD", "broken", status=2)
        self.assertIn("Could not judge: broken does not build", out)
        self.assertIn("error", out)

    def test_crashes(self) -> None:
        out, _ = self.compare("base", "crashing", status=2)
        self.assertRegex(out, r"the program of crashing \(\w+\) was ended by SIGABRT")

    def test_selects_nothing(self) -> None:
        out, _ = self.compare("base", "base", "--benchmark_filter=none", status=2)
        self.assertIn("Could not judge", out)

    def test_unknown_flag(self) -> None:
        out, _ = self.compare("base", "base", "--no-such-flag", status=2)
        self.assertIn("Could not judge", out)

    def test_unknown_program(self) -> None:
        out, _ = self.compare("base", "base", program="other_bench", status=2)
        self.assertIn("does not build", out)

    def test_is_no_revision(self) -> None:
        out, _ = self.compare("base", "nonsense", status=2)
        self.assertIn("'nonsense' is no file and no folder, and it is no revision", out)

    def test_interruption(self) -> None:
        for number, status in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
            process = subprocess.Popen(self.command("slow-to-configure", "base"),
                                       start_new_session=True, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            source = self.scratch / "source" / "CMakeLists.txt"
            deadline = time.monotonic() + 30
            while not source.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # What a terminal does.
            else:
                process.send_signal(number)
            self.assertEqual(process.wait(30), status)
            self.assert_clean()


class OtherTools(CompareTest):
    """What they read of the files that are left: keys as their sources have them."""

    def results(self) -> list[Path]:
        self.compare("base", "slower", status=1)
        return [self.folder / "the results" / f"{name}.json" for name in ["base", "head"]]

    def test_keys_of_github_action_benchmark(self) -> None:
        for path in self.results():
            content = json.loads(path.read_text())
            for run in content["benchmarks"]:
                for key, kind in [("name", str), ("real_time", float), ("cpu_time", float),
                                  ("time_unit", str), ("iterations", int), ("threads", int)]:
                    self.assertIsInstance(run[key], kind, key)

    @unittest.skipUnless(GOOGLES_COMPARE.exists(), "libbenchmark-tools is not installed")
    def test_google_benchmarks_compare(self) -> None:
        done = subprocess.run(
            [python_with("scipy") or "", str(GOOGLES_COMPARE), "--no-color", "benchmarks",
             *map(str, self.results())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"spin/planted_pvalue +0\.\d+ .*U Test, .* 45 vs 45")


def missing() -> str:
    if python_with("scipy") is None:
        return "there is no Python with scipy"
    for program in ["git", "cmake"]:
        if shutil.which(program) is None:
            return f"there is no {program}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.18)\nproject(a CXX)\n"
            "find_package(benchmark REQUIRED)\n")
        found = subprocess.run(["cmake", "-S", folder, "-B", f"{folder}/build"],
                               capture_output=True, check=False).returncode == 0
    return "" if found else "CMake does not find Google Benchmark"


if __name__ == "__main__":
    reason = missing()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
