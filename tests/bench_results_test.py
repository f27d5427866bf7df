#!/usr/bin/env python3
"""The kept results: what is saved, how days and runs are chosen, and that the pages are up to date.

    bench_results_test.py [-v]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from gb_results import Pool, add_run  # noqa: E402
from programs import Unusable  # noqa: E402
from results import (  # noqa: E402
    FOLDER, Day, Result, Run, as_text, newest_rows, read_day, read_days, run_of, save)

OURS = "highway/avx2"
CONTEXT = {"cpu": "A CPU", "isa": "best", "default_backend": OURS,
           "date": "2026-01-02T03:04:05+00:00"}


def pool(*runs: tuple[str, float, dict]) -> Pool:
    found = Pool(contexts=[("a.json", CONTEXT)])
    for name, milliseconds, counters in runs:
        for factor in [0.999, 1, 1.001, 1.002, 0.998]:
            add_run(found, {"name": name, "real_time": milliseconds * factor, "time_unit": "ms",
                            **counters})
    return found


def training(milliseconds: float, shape: str = "20x60x1x50", threads: int = 1) -> Pool:
    rates = {"flops_per_second": 9e9, "of_peak": 0.5}
    return pool((f"rnn_train/{OURS}/{shape}/{threads}", milliseconds, rates),
                (f"rnn_train/onednn3/{shape}/{threads}", 3, {"flops_per_second": 6e9}),
                (f"rnn_train/pytorch/{shape}/{threads}", 9, {"flops_per_second": 2e9}),
                (f"machine/fma_256/-/{threads}", 1, {"flops_per_second": 117.04e9}))


def doubtful() -> Pool:
    """Two threads on one core, and the fastest peer on a fallback."""
    found = pool(*((f"{kernel}/{who}/8x8x8/{threads}", time, {"flops_per_second": 1e9 / time, **more})
                   for kernel in ["gemm", "gemm_tn"] for threads in (1, 2)
                   for who, time, more in [(OURS, 2, {}), ("openblas", 1, {"fallback_lanes": 4}),
                                           ("blis", 3, {})] if (kernel, who) != ("gemm_tn", "blis")))
    found.contexts[0] = ("a.json", {**CONTEXT, "fma_gflops_1": "100", "fma_gflops_2": "104.5"})
    return found


def kept(shape: str, ours: float, **more: object) -> Result:
    return Result("rnn_train", shape, 1, OURS, "GFLOP/s", ours, {"onednn3": ours / 2}, "onednn3",
                  2.0, (1.95, 2.05), **more)


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def report(self, *arguments: object, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "bench" / "report.py"), *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr


class Saving(Folder):
    def test_every_peer_and_the_interval(self) -> None:
        run = run_of(training(2), "abc", "./dev bench")
        row, = run.rows
        self.assertEqual(vars(row) | {"interval": None}, vars(Result(
            "rnn_train", "20x60x1x50", 1, OURS, "GFLOP/s", 9.0, {"onednn3": 6.0, "pytorch": 2.0},
            "onednn3", 1.5, None, 0.5)))
        self.assertTrue(1.49 < row.interval[0] < 1.5 < row.interval[1] < 1.51)
        self.assertEqual((run.commit, run.date), ("abc", "2026-01-02T03:04"))
        self.assertEqual(run.peak_gflops, {"1": 117.0})

    def test_what_is_written_is_read_again(self) -> None:
        path = save(run_of(training(2), None, "./dev bench"), "A machine", self.folder)
        self.assertEqual(path.name, "a-machine-2026-01-02.json")
        self.assertEqual(as_text(read_day(path)), path.read_text())

    def test_a_later_run_of_the_day_replaces_the_same_cases(self) -> None:
        for found in [training(2), training(2, threads=2), training(1)]:
            path = save(run_of(found, None, "./dev bench"), "A", self.folder)
        runs = read_day(path).runs
        self.assertEqual([[(row.threads, row.ratio) for row in run.rows] for run in runs],
                         [[(2, 1.5)], [(1, 3.0)]])

    def test_marks(self) -> None:
        run = run_of(doubtful(), None, "./dev bench")
        self.assertEqual(
            [(row.suite, row.threads, row.best, row.ratio, row.gain, row.fallbacks, row.judged)
             for row in run.rows],
            [("gemm", 1, "blis", 1.5, None, {"openblas": 4}, True),
             ("gemm", 2, "blis", 1.5, 1.04, {"openblas": 4}, False),
             ("gemm_tn", 1, "openblas", 0.5, None, {"openblas": 4}, False),
             ("gemm_tn", 2, "openblas", 0.5, 1.04, {"openblas": 4}, False)])
        self.assertEqual(run.peak_gflops, {"1": 100.0, "2": 104.5})
        path = save(run, "A", self.folder)
        self.assertEqual([row.marks for row in read_day(path).runs[0].rows], ["", "†", "‡", "†‡"])

    def test_a_date_is_needed(self) -> None:
        self.assertRaises(Unusable, run_of, Pool(contexts=[("a.json", {})]), None, "")

    def test_other_files_are_refused(self) -> None:
        (self.folder / "a.json").write_text("{}")
        self.assertIn("no file of kept results", self.report("--results", self.folder,
                                                             "--markdown=-", status=2))


class Choosing(unittest.TestCase):
    def test_the_newest_day_that_answers(self) -> None:
        def day(machine: str, date: str, *rows: Result) -> Day:
            return Day(machine, date, [Run(date, "", {}, {}, list(rows))])

        days = [day("A", "2026-01-03", Result("gemm", "8x8x8", 1, OURS, "GFLOP/s", 1)),
                day("A", "2026-01-02", kept("1x2x3x4", 5)),
                day("A", "2026-01-01", kept("1x2x3x4", 6), kept("5x6x7x8", 7)),
                day("B", "2026-01-01", kept("1x2x3x4", 8))]
        found = newest_rows(days, ["rnn_train"], 1)
        self.assertEqual({str(setting): [row.ours for row in rows]
                          for setting, rows in found.items()}, {"A, AVX2": [5], "B, AVX2": [8]})

    def test_vectors(self) -> None:
        for backend, vectors in [("highway/avx3_dl", "AVX-512"), ("xsimd/avx512bw", "AVX-512"),
                                 ("xsimd/fma3_avx2", "AVX2"), ("highway/neon", "NEON"),
                                 ("reference", "reference")]:
            self.assertEqual(Result("gemm", "", 1, backend, "").vectors, vectors)

    def test_noise(self) -> None:
        self.assertFalse(kept("1x2x3x4", 5).noisy)
        self.assertTrue(Result("gemm", "", 1, OURS, "", 1, {}, "a", 1.0, (0.9, 1.1)).noisy)
        self.assertTrue(Result("gemm", "", 1, OURS, "", 1, {}, "a", 1.0).noisy)
        self.assertFalse(Result("gemm", "", 1, OURS, "", 1).noisy)


class Pages(Folder):
    def test_a_table_for_each_question(self) -> None:
        save(run_of(training(2), "abc", "./dev bench"), "A machine", self.folder)
        page = self.report("--results", self.folder, "--markdown=-")
        self.assertIn("| rnn_train, 1 thread | 1.50 (1, 0, 0) |", page)
        self.assertIn("| 20x60x1x50 | 9.00 (50%) | 1.50 onednn3 |", page)
        self.assertIn("- **A machine**, 2026-01-02: commit abc; cpu A CPU", page)
        self.assertNotIn("## Softmax", page)

    def test_marked_rows_are_in_no_mean(self) -> None:
        save(run_of(doubtful(), None, ""), "A machine", self.folder)
        page = self.report("--results", self.folder, "--markdown=-")
        self.assertIn("| gemm, 1 thread | 1.50 (1, 0, 0) |", page)
        self.assertIn("| gemm, 2 threads | 1 not judged |", page)
        self.assertIn("| gemm_tn, 1 thread | 1 not judged |", page)
        self.assertIn("on A machine two threads reach 1.04 times the multiply-add peak", page)
        self.assertIn("Here: openblas (4 lanes).", page)
        save(run_of(training(2), None, ""), "A machine", self.folder / "other")
        self.assertNotIn("†", self.report("--results", self.folder / "other", "--markdown=-"))

    def test_a_chart_has_no_fallback(self) -> None:
        found = training(2)
        found.runs["rnn_train/onednn3/20x60x1x50/1"].counters["fallback_lanes"] = [8.0] * 5
        save(run_of(found, None, ""), "A", self.folder)
        drawn = self.report("--results", self.folder, "--chart=-")
        self.assertIn("PyTorch: 2.00 GFLOP/s", drawn)
        self.assertNotIn("oneDNN: ", drawn)
        self.assertIn("4.5×", drawn)

    def test_chart_and_sentence(self) -> None:
        save(run_of(training(2), None, ""), "A <machine>", self.folder)
        svg = self.folder / "a.svg"
        readme = self.folder / "a.md"
        readme.write_text("a\n<!-- Made by ./dev bench report -->\nold\n<!-- end -->\nz\n")
        self.report("--results", self.folder, "--chart", svg, "--readme", readme)
        text = ElementTree.parse(svg).getroot()
        self.assertIn("A <machine>, AVX2", text.get("aria-label"))
        for said in ["prefers-color-scheme: dark", "1.50×", "50% of peak",
                     "PyTorch: 2.00 GFLOP/s"]:
            self.assertIn(said, svg.read_text())
        self.assertRegex(readme.read_text(), r"^a\n<!--.*\nOn one thread \(A `<machine>`, AVX2, [0-9-]+\) "
                         r"Lockstep trains\n\*\*1.5 to 1.5 times as fast as the fastest of oneDNN "
                         r"and PyTorch\*\* [^<]*\n<!-- end -->\nz\n$")

    def test_nothing_to_draw(self) -> None:
        self.assertIn("no results are kept", self.report(
            "--results", self.folder, "--chart", self.folder / "a.svg", status=2))
        page = self.folder / "a.md"
        self.report("--results", self.folder, "--markdown", page, status=2)
        self.assertFalse(page.exists())


class UpToDate(Folder):
    """What is committed is what `./dev bench report` makes of bench/results."""

    def test_results(self) -> None:
        committed = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
        self.assertEqual(self.report("--markdown=-"), committed)
        self.assertLessEqual(committed.count("\n"), 260)

    def test_chart(self) -> None:
        self.assertEqual(self.report("--chart=-"),
                         (ROOT / "docs" / "training-speed.svg").read_text(encoding="utf-8"))

    def test_readme(self) -> None:
        readme = ROOT / "README.md"
        copy = self.folder / "README.md"
        copy.write_text(readme.read_text(encoding="utf-8"), encoding="utf-8")
        self.report("--readme", copy)
        self.assertEqual(copy.read_text(encoding="utf-8"), readme.read_text(encoding="utf-8"))

    def test_files_are_as_they_are_saved(self) -> None:
        self.assertTrue(read_days(FOLDER))
        for path in FOLDER.glob("*.json"):
            self.assertEqual(as_text(read_day(path)), path.read_text(encoding="utf-8"), path.name)
            self.assertEqual(read_day(path).path, path.name)


if __name__ == "__main__":
    unittest.main()
