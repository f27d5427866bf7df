#!/usr/bin/env python3
"""The statistics and the verdict of bench/compare.py, on made-up measurements.

    bench_gate_test.py [-v]

Skipped (77) without SciPy.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional, Sequence
from unittest import mock

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from programs import Unusable, need_module  # noqa: E402

try:
    need_module("scipy", "python3-scipy")
except Unusable as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import gate_check  # noqa: E402
from alternation import Effort, alternate  # noqa: E402
from gate import (  # noqa: E402
    Comparison, Limits, Status, Verdict, compare, context_differences, holm, is_narrow,
    needed_processes, p_of_difference, verdict)
from measurements import Measurement, Measurements, merge, read_measurements  # noqa: E402

LIMITS = Limits()


def side(context: Optional[dict] = None, **values: Sequence[float]) -> Measurements:
    return Measurements([context or {}], {name: [Measurement(v, v) for v in found]
                                          for name, found in values.items()})


def noise(seed: int, centre: float = 1.0, count: int = 10, width: float = 0.01) -> list[float]:
    numbers = random.Random(seed)
    return [centre * numbers.uniform(1, 1 + width) for _ in range(count)]


def one(base: Measurements, head: Measurements) -> Comparison:
    found = compare(base, head, LIMITS)
    assert len(found) == 1
    return found[0]


def status(base: Measurements, head: Measurements) -> tuple[Status, str]:
    return verdict(base, head, compare(base, head, LIMITS), LIMITS)


class Statistics(unittest.TestCase):
    def test_holm(self) -> None:
        # Times 4, 3, 2, 1 in rising order, and never falling.
        for found, expected in zip(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]):
            self.assertAlmostEqual(found, expected)
        self.assertEqual(holm([]), [])
        self.assertEqual(holm([0.6, 0.7]), [1.0, 1.0])

    def test_exact_p(self) -> None:
        # Of 20 orders of three and three, one has all of HEAD behind and one all before.
        self.assertAlmostEqual(p_of_difference([1, 2, 3], [4, 5, 6]), 0.1)
        self.assertAlmostEqual(p_of_difference([1.0] * 5, [1.0] * 5), 1.0)

    def test_large_samples_end(self) -> None:
        self.assertLess(p_of_difference(noise(1, 1, 3000), noise(2, 1.01, 3000)), 1e-9)

    def test_more_benchmarks_need_more_processes(self) -> None:
        self.assertEqual(needed_processes(1, LIMITS), 9)
        self.assertEqual(needed_processes(0, LIMITS), 9)
        counts = [needed_processes(n, LIMITS) for n in [10, 100, 1000]]
        self.assertEqual(counts, sorted(counts))
        for benchmarks, count in zip([10, 100, 1000], counts):
            names = [f"b{i}" for i in range(benchmarks)]
            base = side(**{name: noise(i, 1, count) for i, name in enumerate(names)})
            head = side(**{name: noise(-i, 2 if name == "b3" else 1, count)
                           for i, name in enumerate(names)})
            slower = [c.name for c in compare(base, head, LIMITS) if c.verdict is Verdict.SLOWER]
            self.assertEqual(slower, ["b3"])

    def test_work_is_compared_where_it_is_known(self) -> None:
        # The machine ran at half its speed under HEAD: twice the time, the same work.
        base = Measurements([{}], {"a": [Measurement(v, v) for v in noise(1)]})
        head = Measurements([{}], {"a": [Measurement(2 * v, v) for v in noise(2)]})
        self.assertIs(one(base, head).verdict, Verdict.SAME)
        head.values["a"][0] = Measurement(2.0, None)
        self.assertIs(one(base, head).verdict, Verdict.SLOWER)

    def test_false_alarms_are_rare(self) -> None:
        # Noise with a long tail to the slow side, as interruptions make it.
        numbers = random.Random(3)

        def process() -> float:
            return 1 + numbers.expovariate(100) + (numbers.random() < 0.2) * numbers.random()

        alarms = 0
        for _ in range(200):
            sides = [side(**{f"b{i}": [process() for _ in range(10)] for i in range(20)})
                     for _ in range(2)]
            alarms += status(*sides)[0] is Status.REGRESSION
        self.assertLessEqual(alarms, 2)


class Verdicts(unittest.TestCase):
    def test_the_same(self) -> None:
        found, sentence = status(side(a=noise(1), b=noise(2)), side(a=noise(3), b=noise(4)))
        self.assertIs(found, Status.NO_REGRESSION)
        self.assertIn("of 2 benchmarks none is slower", sentence)

    def test_regression(self) -> None:
        found, sentence = status(side(a=noise(1), b=noise(2)), side(a=noise(3), b=noise(4, 1.1)))
        self.assertIs(found, Status.REGRESSION)
        self.assertIn("1 of 2 benchmarks", sentence)
        self.assertIn("b (1.10)", sentence)

    def test_significant_but_small(self) -> None:
        comparison = one(side(a=noise(1)), side(a=noise(3, 1.02)))
        self.assertLess(comparison.p, LIMITS.alpha)
        self.assertIs(comparison.verdict, Verdict.SAME)

    def test_significant_but_chaotic(self) -> None:
        comparison = one(side(a=noise(1, width=0.6)), side(a=noise(3, 1.3, width=0.6)))
        self.assertLess(comparison.p, LIMITS.alpha)
        self.assertLess(comparison.interval[0], 1 + LIMITS.resolution)
        self.assertIs(comparison.verdict, Verdict.UNDECIDED)

    def test_chaotic_but_certainly_large(self) -> None:
        slower = one(side(a=noise(1, width=0.6)), side(a=noise(3, 3, width=0.6)))
        low, high = slower.interval
        self.assertGreater(high - low, 0.3 * slower.ratio)
        self.assertIs(slower.verdict, Verdict.SLOWER)
        faster = one(side(a=noise(3, 3, width=0.6)), side(a=noise(1, width=0.6)))
        self.assertIs(faster.verdict, Verdict.FASTER)

    def test_faster(self) -> None:
        comparison = one(side(a=noise(1)), side(a=noise(3, 0.8)))
        self.assertIs(comparison.verdict, Verdict.FASTER)
        self.assertIs(status(side(a=noise(1)), side(a=noise(3, 0.8)))[0], Status.NO_REGRESSION)

    def test_too_noisy(self) -> None:
        found, sentence = status(side(a=noise(1, width=1)), side(a=noise(2, width=1)))
        self.assertIs(found, Status.NOT_JUDGED)
        self.assertIn("leaves a slow-down of 10% possible: a (", sentence)

    def test_too_few(self) -> None:
        for count in [1, 2, 3]:
            found, _ = status(side(a=noise(1, 1, count, 0.5)), side(a=noise(2, 1, count, 0.5)))
            self.assertIs(found, Status.NOT_JUDGED)

    def test_a_regression_outweighs_noise_elsewhere(self) -> None:
        found, _ = status(side(a=noise(1, width=1), b=noise(2)),
                          side(a=noise(3, width=1), b=noise(4, 1.5)))
        self.assertIs(found, Status.REGRESSION)

    def test_nothing_in_common(self) -> None:
        found, sentence = status(side(a=noise(1)), side(b=noise(2)))
        self.assertIs(found, Status.NOT_JUDGED)
        self.assertIn("no benchmark in common", sentence)

    def test_two_threads_on_one_core_are_not_judged(self) -> None:
        one, two = "rnn_train/highway/avx2/1x2x3x4/1", "rnn_train/highway/avx2/1x2x3x4/2"
        peaks = {"fma_gflops_1": "100.0", "fma_gflops_2": "104"}
        for context, status, names in [(peaks, Status.NO_REGRESSION, [one]),
                                       ({}, Status.REGRESSION, [one, two])]:
            sides = (side({}, **{one: noise(1), two: noise(2)}),
                     side(context, **{one: noise(3), two: noise(4, 1.5)}))
            comparisons = compare(*sides, LIMITS)
            self.assertEqual([c.name for c in comparisons], names)
            self.assertEqual(verdict(*sides, comparisons, LIMITS)[0], status)
        sides = side(peaks, **{two: noise(1)}), side(peaks, **{two: noise(2)})
        status, sentence = verdict(*sides, compare(*sides, LIMITS), LIMITS)
        self.assertEqual(status, Status.NOT_JUDGED)
        self.assertIn("two threads reach 1.04 times the multiply-add peak of one", sentence)

    def test_other_machine(self) -> None:
        for key, words in [("cpu", "CPU"), ("isa", "ISA"), ("num_cpus", "number of CPUs"),
                           ("default_threads", "number of threads"), ("caches", "caches"),
                           ("compiler", "compiler"), ("flags", "compiler flags")]:
            base, head = side({key: "x"}, a=noise(1)), side({key: "y"}, a=noise(2, 2))
            found, sentence = status(base, head)
            self.assertIs(found, Status.NOT_JUDGED, key)
            self.assertIn(f"not the same {words} (x at BASE, y at HEAD)", sentence)
        # What one side does not say is no difference, nor is white space.
        self.assertEqual(list(context_differences(side({"cpu": "x  y"}), side({"cpu": "x y"}))), [])
        self.assertEqual(list(context_differences(side({"cpu": "x"}), side({}))), [])

    def test_flags_are_part_of_what_a_revision_changes(self) -> None:
        sides = side({"flags": "-O3"}, a=noise(1)), side({"flags": "-O1"}, a=noise(2, 2))
        for measurements in sides:
            measurements.built_here = True
        self.assertIs(status(*sides)[0], Status.REGRESSION)
        sides[0].built_here = False  # saved, or a build folder
        self.assertIs(status(*sides)[0], Status.NOT_JUDGED)

    def test_fastest_of_more_repetitions(self) -> None:
        base, head = ({"a": [Measurement(v, v, repetitions=count) for v in noise(seed, speed)]}
                      for count, seed, speed in [(20, 1, 1), (5, 2, 1.2)])
        found, sentence = status(Measurements([{}], base), Measurements([{}], head))
        self.assertIs(found, Status.NOT_JUDGED)
        self.assertIn("repetitions, of which the fastest counts (20 at BASE, 5 at HEAD)", sentence)

    def test_refused_by_head(self) -> None:
        head = side(a=noise(2))
        head.refused["b"] = "wrong"
        found, sentence = status(side(a=noise(1), b=noise(3)), head)
        self.assertIs(found, Status.NOT_JUDGED)
        self.assertIn("HEAD refused to time what BASE did not refuse: b (wrong)", sentence)

    def test_stops_by_width_alone(self) -> None:
        # Also where HEAD is clearly slower.
        wide = one(side(a=noise(1, width=0.3)), side(a=noise(3, 2, width=0.3)))
        self.assertIs(wide.verdict, Verdict.SLOWER)
        self.assertFalse(is_narrow(wide, LIMITS))
        self.assertTrue(is_narrow(one(side(a=noise(1)), side(a=noise(3))), LIMITS))
        self.assertFalse(is_narrow(one(side(a=noise(1, width=1)), side(a=noise(3))), LIMITS))
        self.assertFalse(is_narrow(one(side(a=[1.0]), side(a=[1.0])), LIMITS))

    def test_width_is_relative_to_the_ratio(self) -> None:
        for base, head in [(1, 4), (4, 1)]:
            found = one(side(a=noise(1, base, width=0.08)), side(a=noise(3, head, width=0.08)))
            self.assertTrue(is_narrow(found, LIMITS), found.interval)
        found = one(side(a=noise(1, 4, width=0.2)), side(a=noise(3, width=0.2)))
        self.assertFalse(is_narrow(found, LIMITS), found.interval)


class FakeRunner:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def run(self) -> None:
        self.log.append(self.name)


class Alternation(unittest.TestCase):
    def rounds(self, effort: Effort, least: int, enough: bool) -> list[str]:
        log: list[str] = []
        with contextlib.redirect_stderr(io.StringIO()):
            alternate([FakeRunner(log, "b"), FakeRunner(log, "h")], effort, lambda: least,
                      lambda: enough, seed=1)
        return log

    def test_pairs_in_random_order(self) -> None:
        log = self.rounds(Effort(40, 1000), 0, True)
        pairs = list(zip(log[::2], log[1::2]))
        self.assertEqual(len(pairs), 40)
        self.assertEqual(set(pairs), {("b", "h"), ("h", "b")})

    def test_goes_on_until_the_time_is_over(self) -> None:
        self.assertEqual(len(self.rounds(Effort(9, 0), 12, False)), 24)
        self.assertEqual(len(self.rounds(Effort(9, 1000), 9, True)), 18)
        # A clock by which each round takes a second: a 21st would end after the time.
        with mock.patch("alternation.time.monotonic", itertools.count().__next__):
            self.assertEqual(len(self.rounds(Effort(9, 20), 9, False)), 40)


class GateCheck(unittest.TestCase):
    @staticmethod
    def rounds(count: int, planted: float) -> list[gate_check.Round]:
        numbers = random.Random(1)

        def process(factor: float) -> gate_check.Process:
            values = {"tanh/x": factor, "exp/x": 1.0}
            return {name: [value * numbers.uniform(1, 1.01)] * 2 for name, value in values.items()}

        factors = {**dict.fromkeys(gate_check.CLEAN, 1.0),
                   **dict.fromkeys(gate_check.PLANTED, planted)}
        return [{name: process(factor) for name, factor in factors.items()} for _ in range(count)]

    def test_quiet_and_found(self) -> None:
        lines = list(gate_check.evaluate("quiet", self.rounds(31, 1.2), 10))
        self.assertEqual(len(lines), 3 + len(gate_check.PLANTED))
        self.assertIn("false alarms 0 of 3 (0.0%)", lines[1])
        self.assertIn("false alarms 0 of 220 (0.0%)", lines[2])
        self.assertRegex(lines[3], r"5 % planted \(ratio 1.20\d\): found 6 of 6 \(100.0%\)")

    def test_not_found(self) -> None:
        lines = list(gate_check.evaluate("quiet", self.rounds(10, 1.0), 10))
        self.assertIn("found 0 of 2", lines[3])

    def test_too_few_rounds(self) -> None:
        self.assertEqual(list(gate_check.evaluate("quiet", self.rounds(9, 1.0), 10)), [])


class Files(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, runs: list[dict], name: str = "a.json", **context: object) -> Path:
        path = self.folder / name
        path.write_text(json.dumps({"context": context, "benchmarks": runs}))
        return path

    def compare(self, *arguments: object, expected: int) -> str:
        done = subprocess.run([sys.executable, str(ROOT / "bench" / "compare.py"),
                               *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout

    @staticmethod
    def timed(name: str, values: Sequence[float], **more: object) -> list[dict]:
        return [{"name": name, "run_name": name, "run_type": "iteration", "real_time": value,
                 "cpu_time": value, "time_unit": "ms", "iterations": 1, "threads": 1, **more}
                for value in values]

    def by_process(self, name: str, values: Sequence[float]) -> list[dict]:
        """One of each, as compare.py itself leaves them."""
        return [{**run, "process": i} for i, run in enumerate(self.timed(name, values))]

    def test_one_process_is_one_value_the_fastest(self) -> None:
        calibrated = [{**run, "calibration_flops_per_second": 1e9, "process": i // 2}
                      for i, run in enumerate(self.timed("a", [5, 3, 4, 6]))]
        found = read_measurements(self.write(calibrated))
        self.assertEqual([m.seconds for m in found.values["a"]], [3e-3, 4e-3])
        self.assertEqual((found.processes, found.repetitions), (2, 2))
        self.assertEqual([m.work for m in found.values["a"]], [3e6, 4e6])

    def test_calibrations_of_two_kinds_do_not_compare(self) -> None:
        case = self.timed("machine/fma_256/-/1", [1], flops_per_second=1e9)
        base = read_measurements(self.write(self.timed("a", [2]) + case))
        around = self.timed("a", [2], calibration_flops_per_second=3e9)
        head = read_measurements(self.write(around, "b.json"))
        comparison = one(base, head)
        self.assertEqual((comparison.ratio, comparison.calibrated), (1, False))
        self.assertTrue(one(head, head).calibrated)

    def test_the_machines_own_case_stands_in(self) -> None:
        path = self.write(self.timed("a", [2]) + self.timed(
            "machine/fma_256/-/1/real_time", [1], flops_per_second=1e9))
        found = read_measurements(path)
        self.assertEqual([m.work for m in found.values["a"]], [2e6])
        self.assertEqual(list(found.values), ["a"])

    def test_merged_files_are_google_benchmarks(self) -> None:
        paths = [self.write(self.timed("a", values), f"{i}.json", cpu="x")
                 for i, values in enumerate([[1, 2], [3, 4]])]
        merge(paths, self.folder / "all.json")
        content = json.loads((self.folder / "all.json").read_text())
        self.assertEqual(content["context"], {"cpu": "x"})
        self.assertEqual([run["repetition_index"] for run in content["benchmarks"]], [0, 1, 2, 3])
        self.assertEqual({run["repetitions"] for run in content["benchmarks"]}, {4})
        found = read_measurements(self.folder / "all.json")
        self.assertEqual([m.seconds for m in found.values["a"]], [1e-3, 3e-3])

    def test_repetitions_of_one_process_are_no_samples(self) -> None:
        fast = self.timed("a", noise(1, count=30))
        slow = self.timed("a", noise(2, 2, count=30))
        out = self.compare(self.write(fast, "base.json"), self.write(slow, "head.json"), expected=2)
        for words in ["BASE", "HEAD"]:
            self.assertIn(f"{words} was measured by one process alone", out)
            self.assertIn(f"{words}: {self.folder / words.lower()}.json, measured 1 time", out)
        many = self.write(self.by_process("a", noise(1, count=30)), "many.json")
        out = self.compare(many, self.folder / "head.json", expected=2)
        self.assertNotIn("BASE was measured by one", out)
        self.compare(many, self.write(self.by_process("a", noise(2, 2, count=30)), "slow.json"),
                     expected=1)

    def test_saved_results(self) -> None:
        base = self.write(self.by_process("a", noise(1)), "base.json")
        head = self.write(self.by_process("a", noise(2)), "head.json")
        out = self.compare(base, head, expected=0)
        self.assertIn("nothing tells that BASE and HEAD were measured alternately", out)
        self.assertIn("not calibrated", out)
        out = self.compare(base, self.write(self.by_process("a", noise(2, 1.2)), "slow.json"),
                           expected=1)
        self.assertTrue(out.startswith("Regression: 1 of 1 benchmarks"), out)

    def test_markdown(self) -> None:
        base = self.write(self.by_process("a|b", noise(1)), "base.json")
        head = self.write(self.by_process("a|b", noise(2, 1.2)), "head.json")
        path = self.folder / "report.md"
        self.compare(base, head, "--markdown", path, expected=1)
        text = path.read_text()
        self.assertTrue(text.startswith("**Regression: "))
        self.assertIn("| `a\\|b` |", text)
        self.assertIn("`a|b` (1.20)", text)
        self.assertIn("<details>", text)
        out = self.compare(base, head, "--markdown", self.folder, expected=2)
        self.assertTrue(out.startswith("Could not judge: cannot write"), out)

    def test_renamed_benchmarks_are_told(self) -> None:
        def write(names: Sequence[str], file: str) -> Path:
            return self.write([run for i, name in enumerate(names)
                               for run in self.by_process(name, noise(i))], file)

        base = write(["a", "old"], "base.json")
        head = write(["a", *(f"new{i}" for i in range(7))], "head.json")
        out = self.compare(base, head, expected=0)
        self.assertIn("1 benchmark only in BASE, not compared: old", out)
        self.assertIn("7 benchmarks only in HEAD, not compared: new0, new1, new2, new3, new4 and 2 "
                      "more", out)

    def test_unusable_files(self) -> None:
        good = self.write(self.by_process("a", noise(1)), "good.json")
        for name, text in [("empty.json", ""), ("list.json", "[]"), ("text.json", "nothing"),
                           ("runs.json", '{"benchmarks": []}'),
                           ("odd.json", '{"benchmarks": [1, {"name": "a", "real_time": NaN}]}')]:
            path = self.folder / name
            path.write_text(text)
            for arguments in [(good, path), (path, good)]:
                out = self.compare(*arguments, expected=2)
                self.assertTrue(out.startswith("Could not judge: "), out)

    def test_unknown_names(self) -> None:
        good = self.write(self.by_process("a", noise(1)))
        for name in ["no-such-revision", "--", "-x", str(self.folder), ""]:
            self.compare(good, "--repository", ROOT, "--", name, expected=2)

    def test_arguments(self) -> None:
        good = self.write(self.by_process("a", noise(1)))
        for argument in ["--tolerance=much", "--tolerance=-1", "--processes=0", "--budget=soon"]:
            self.compare(good, good, argument, expected=2)
        self.compare(good, good, "--tolerance=5%", "--resolution", "20", expected=0)


if __name__ == "__main__":
    unittest.main()
