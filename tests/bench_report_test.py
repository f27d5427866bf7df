#!/usr/bin/env python3
"""bench/report.py on hand-made files: what it computes, what it marks, how it fails.

    bench_report_test.py [-v]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Optional, Sequence

REPORT = Path(__file__).resolve().parent.parent / "bench" / "report.py"
CONTEXT = {"cpu": "A CPU", "isa": "best", "default_backend": "highway/avx3"}
QUIET = [1.0, 1.001, 0.999, 1.002, 0.998]
NOISY = [1.0, 1.4, 0.8, 1.6, 0.7]


def runs(name: str, milliseconds: Sequence[float], **counters: float) -> list[dict]:
    return [{"name": name, "run_name": name, "run_type": "iteration", "repetition_index": i,
             "iterations": 10, "real_time": time, "cpu_time": time, "time_unit": "ms", **counters}
            for i, time in enumerate(milliseconds)]


def scaled(factor: float, values: Sequence[float] = tuple(QUIET)) -> list[float]:
    return [factor * value for value in values]


def refused(name: str) -> list[dict]:
    return [{"name": name, "run_name": name, "run_type": "iteration", "error_occurred": True,
             "error_message": "the product is wrong", "real_time": 0.0, "time_unit": "ns"}]


class ReportTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, benchmarks: list[dict], context: Optional[dict] = None,
              name: str = "a.json") -> str:
        path = self.folder / name
        content = {"context": CONTEXT if context is None else context, "benchmarks": benchmarks}
        path.write_text(json.dumps(content))
        return str(path)

    def run_report(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run([sys.executable, str(REPORT), *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr if status == 2 else done.stdout

    def row(self, output: str, shape: str, section: str = "") -> list[str]:
        """The cells of a shape's row of a Markdown table."""
        for line in output[output.index(section):].splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] == shape:
                return cells
        self.fail(f"no row {shape} in\n{output}")

    def table(self, benchmarks: list[dict], *arguments: str) -> str:
        return self.run_report(self.write(benchmarks), "--markdown=-", *arguments)


class Comparison(ReportTest):
    def test_medians_over_repetitions_and_files(self) -> None:
        ours = "gemm/highway/avx3/8x8x8/1/real_time"
        first = self.write(runs(ours, [1, 9], flops_per_second=2e9)
                           + runs("gemm/blis/8x8x8/1/real_time", [6, 6, 6]))
        second = self.write(runs(ours, [3], flops_per_second=5e9), name="b.json")
        row = self.row(self.run_report(first, second, "--markdown=-"), "8x8x8")
        # Of the times 1, 3, 9 the middle one; of the rates 2, 2, 5.
        self.assertEqual(row[1:3], ["highway/avx3", "2.00"])
        self.assertEqual(row[5], "\\~2.00")

    def test_aggregates_are_left_out(self) -> None:
        name = "exp/highway/avx3/4096/1"
        aggregate = {**runs(name, [500])[0], "run_type": "aggregate", "aggregate_name": "mean"}
        older = {key: value for key, value in aggregate.items() if key != "run_type"}
        output = self.table(runs(name, [4.096] * 2) + [aggregate, older, older])
        self.assertEqual(self.row(output, "4096")[2], "1000")

    def test_best_peer_is_the_fastest(self) -> None:
        row = self.row(self.table(runs("tanh/highway/avx3/4096/1", scaled(1))
                                  + runs("tanh/sleef_u10/4096/1", scaled(3))
                                  + runs("tanh/eigen/4096/1", scaled(0.5))
                                  + runs("tanh/libmvec/4096/1", scaled(2))), "4096")
        self.assertEqual((row[3], row[5]), ("eigen", "0.50"))

    def test_default_backend_else_the_fastest_of_ours(self) -> None:
        benchmarks = (runs("exp/xsimd/avx512/64/1", [1]) + runs("exp/highway/avx3/64/1", [2])
                      + runs("exp/xsimd/avx512/65/1", [1]) + runs("exp/reference/65/1", [2]))
        output = self.table(benchmarks)
        self.assertEqual(self.row(output, "64")[1], "highway/avx3")
        self.assertEqual(self.row(output, "65")[1], "xsimd/avx512")
        everything = self.table(benchmarks, "--all-backends")
        for backend in ["xsimd/avx512", "highway/avx3", "reference"]:
            self.assertIn(f"| {backend} |", everything)

    def test_plain_product_stands_in_for_packed(self) -> None:
        benchmarks = (runs("gemm_packed/highway/avx3/8x8x8/1", scaled(1))
                      + runs("gemm_packed/onednn3/8x8x8/1", scaled(4))
                      + runs("gemm/openblas/8x8x8/1", scaled(2)))
        row = self.row(self.table(benchmarks), "8x8x8", "### gemm_packed")
        self.assertEqual((row[3], row[5]), ("openblas (gemm)", "2.00"))

    def test_cold_runs_stand_apart(self) -> None:
        output = self.table(runs("gemm/highway/avx3/8x8x8/1", scaled(1))
                            + runs("gemm/highway/avx3/8x8x8/1/cold/real_time", scaled(5))
                            + runs("gemm/blis/8x8x8/1/cold/real_time", scaled(10)))
        self.assertEqual(self.row(output, "8x8x8")[3], "-")
        self.assertEqual(self.row(output, "8x8x8 cold")[5], "2.00")

    def test_speed_up_and_timesteps(self) -> None:
        name = "rnn_train/highway/avx3/20x60x1x50-ragged/"
        rates = {"flops_per_second": 6e10, "timesteps_per_second": 4e6, "of_peak": 0.25}
        output = self.table(runs(name + "1", scaled(3), **rates)
                            + runs(name + "2", scaled(2), **rates)
                            + runs("rnn_train/pytorch/20x60x1x50-ragged/2", scaled(4)))
        row = self.row(output, "20x60x1x50-ragged", "2 threads")
        self.assertEqual(row[2:5], ["60.0", "4.00", "pytorch"])
        self.assertEqual((row[6], row[8], row[10]), ("2.00", "25%", "1.50"))

    def test_summary(self) -> None:
        output = self.table(runs("exp/highway/avx3/64/1", scaled(1))
                            + runs("exp/eigen/64/1", scaled(4))
                            + runs("exp/highway/avx3/65/1", scaled(2))
                            + runs("exp/eigen/65/1", scaled(1))
                            + runs("exp/highway/avx3/66/1", NOISY)
                            + runs("exp/eigen/66/1", scaled(1.1, NOISY)))
        self.assertIn("exp: geometric mean ratio 1.30 over 3 rows; 1 win, 1 loss, 1 undecided",
                      output)

    def test_no_peers(self) -> None:
        row = self.row(self.table(runs("loss/highway/avx3/64x10/1", scaled(1))), "64x10")
        self.assertEqual(row[3:7], ["-", "-", "-", "-"])

    def test_peers_alone(self) -> None:
        row = self.row(self.table(runs("rnn_train/numpy/1x2x3x4/1", scaled(1))), "1x2x3x4")
        self.assertEqual(row[1:5], ["-", "-", "numpy", "1.00"])

    def test_kernel_filter(self) -> None:
        output = self.table(runs("exp/eigen/64/1", [1]) + runs("tanh/eigen/64/1", [1]),
                            "--kernel", "ta")
        self.assertIn("### tanh", output)
        self.assertNotIn("### exp", output)


class Marks(ReportTest):
    """What is shown, but not judged."""

    PEAKS = {**CONTEXT, "fma_gflops_1": "100.0", "fma_gflops_2": "105.0"}

    def two_threads(self, context: dict, *more: dict) -> str:
        benchmarks = [run for threads in (1, 2) for who, time in [("highway/avx3", 1), ("blis", 2)]
                      for run in runs(f"gemm/{who}/8x8x8/{threads}", scaled(time * threads))]
        return self.run_report(self.write([*benchmarks, *more], context), "--markdown=-")

    def test_two_threads_on_one_core(self) -> None:
        output = self.two_threads(self.PEAKS)
        self.assertEqual(self.row(output, "8x8x8", "1 thread")[5], "2.00")
        self.assertEqual(self.row(output, "8x8x8", "2 threads")[5], "2.00†")
        self.assertIn("two threads reach 1.05 times the multiply-add peak of one", output)
        self.assertIn("gemm: geometric mean ratio 2.00 over 1 row; 1 win, 0 losses, 0 undecided, "
                      "1 not judged", output)

    def test_two_threads_with_a_core_each(self) -> None:
        for context in [CONTEXT, {**self.PEAKS, "fma_gflops_2": "160"},
                        {**self.PEAKS, "fma_gflops_1": "much"}]:
            output = self.two_threads(context)
            self.assertNotIn("†", output)
            self.assertIn("over 2 rows; 2 wins", output)

    def test_the_machines_own_cases_say_it_too(self) -> None:
        def peak(threads: int, flops: float) -> list[dict]:
            return runs(f"machine/fma_256/-/{threads}", [1], flops_per_second=flops)

        self.assertIn("reach 1.59 times", self.two_threads(
            CONTEXT, *peak(1, 1e11), *peak(2, 1.59e11)))
        # What disturbs a peak makes it lower, so the highest counts.
        self.assertNotIn("†", self.two_threads(self.PEAKS, *peak(2, 1.61e11)))

    def test_a_fallback_is_not_the_best_peer(self) -> None:
        output = self.table(runs("gemm/highway/avx3/8x8x8/1", scaled(2))
                            + runs("gemm/openblas/8x8x8/1", scaled(1), fallback_lanes=4)
                            + runs("gemm/blis/8x8x8/1", scaled(3)))
        row = self.row(output, "8x8x8")
        self.assertEqual((row[3], row[5]), ("blis", "1.50"))
        self.assertIn("‡: a fallback", output)
        self.assertIn("openblas (4 lanes)", output)
        self.assertNotIn("not judged\n", output.partition("gemm: ")[2])

    def test_where_there_is_no_other_peer_it_is_marked(self) -> None:
        output = self.table(runs("gemm_packed/highway/avx3/8x8x8/1", scaled(2))
                            + runs("gemm/openblas/8x8x8/1", scaled(6), fallback_lanes=4))
        row = self.row(output, "8x8x8", "### gemm_packed")
        self.assertEqual((row[3], row[5]), ("openblas (gemm)", "3.00‡"))
        self.assertIn("gemm_packed: 1 not judged", output)


class Header(ReportTest):
    OURS = {**CONTEXT, "date": "2026-01-02T03:04:05+00:00", "compiler": "GNU 12", "flags": "-O3",
            "lockstep_version": "0.1.0", "highway_version": "1.0.3", "xsimd_version": "8.1.0",
            "peers": "blis: 0.9.0"}
    PYTHON = {"cpu": "A CPU", "isa": "best", "date": "2026-01-02T03:14:05+00:00",
              "numpy_version": "1.24.2", "torch_version": "1.13.0"}

    def test_says_when_where_and_what(self) -> None:
        ours = self.write(runs("exp/highway/avx3/64/1", [1]), self.OURS)
        python = self.write(runs("rnn_train/numpy/1x2x3x4/1", [1]), self.PYTHON, "b.json")
        expected = ["date: 2026-01-02T03:04:05+00:00 to 2026-01-02T03:14:05+00:00",
                    "machine: cpu A CPU, isa best",
                    "ours: lockstep 0.1.0, Highway 1.0.3, xsimd 8.1.0, "
                    "default backend highway/avx3, compiler GNU 12, flags -O3",
                    "peers: blis: 0.9.0", "Python peers: numpy 1.24.2, torch 1.13.0"]
        self.assertEqual(self.run_report(ours, python).splitlines()[:5], expected)
        markdown = self.run_report(ours, python, "--markdown=-").splitlines()
        self.assertEqual(markdown[:5], [f"- {line}" for line in expected])

    def test_other_projects_files_have_less(self) -> None:
        output = self.run_report(self.write(runs("BM_a", [1]), {"num_cpus": 2}))
        self.assertEqual(output.splitlines()[0], "machine: CPUs 2")


class Legend(ReportTest):
    def test_says_of_onednn_what_it_does(self) -> None:
        for kernel, said in [("rnn_train", True), ("rnn_backward", True), ("rnn_forward", False)]:
            output = self.table(runs(f"{kernel}/highway/avx3/1x2x3x4/1", scaled(1)))
            self.assertEqual("recurrent layer only" in output, said, kernel)

    def test_says_when_python_peers_run(self) -> None:
        for peer, said in [("numpy", True), ("onednn3", False)]:
            output = self.table(runs(f"rnn_forward/{peer}/1x2x3x4/1", scaled(1)))
            self.assertEqual("run after all others" in output, said, peer)


class Stacks(ReportTest):
    def stack(self, shape: str, milliseconds: float, of_peak: float) -> list[dict]:
        return runs(f"gru_train/highway/avx3/{shape}/1", scaled(milliseconds), of_peak=of_peak)

    def test_beside_their_layers_alone(self) -> None:
        stack = self.stack("8x9x4x2x16-bidirectional", 6, 0.5)
        layers = (self.stack("8x9x4x16-bidirectional", 1, 0.2)
                  + self.stack("8x9x32x16-bidirectional", 3, 0.6))
        said = ("gru_train 8x9x4x2x16-bidirectional, highway/avx3, 1 thread: 1.50 times its layers "
                "alone, 1.00 for each FLOP that is needed")
        self.assertIn(said, self.table(stack + layers))
        self.assertNotIn("layers alone", self.table(stack + layers[:len(layers) // 2]))

    def test_a_layer_counts_as_often_as_it_is_there(self) -> None:
        layers = self.stack("8x9x4x16", 1, 0.5) + self.stack("8x9x16x16", 2, 0.5)
        self.assertIn("1.20 times its layers alone, 1.00 for",
                      self.table(self.stack("8x9x4x3x16", 6, 0.5) + layers))


class Noise(ReportTest):
    def ratio(self, ours: Sequence[float], peer: Sequence[float]) -> list[str]:
        row = self.row(self.table(runs("exp/highway/avx3/64/1", ours)
                                  + runs("exp/eigen/64/1", peer)), "64")
        return row[5:9]

    def test_quiet_row(self) -> None:
        ratio, interval, _, spread = self.ratio(QUIET, scaled(2))
        self.assertEqual((ratio, interval), ("2.00", "1.99..2.01"))
        self.assertEqual(spread, "0.1% / 0.1%")

    def test_noisy_row(self) -> None:
        for ours, peer in [(NOISY, QUIET), (QUIET, NOISY)]:
            self.assertEqual(self.ratio(ours, peer)[0], "\\~1.00")

    def test_an_outlier_needs_more_repetitions(self) -> None:
        # At 95 % five repetitions cannot tell an outlier from noise; ten can.
        outlier = [*QUIET[:4], 7.0]
        self.assertEqual(self.ratio(outlier, scaled(2))[0], "\\~2.00")
        self.assertEqual(self.ratio(outlier + QUIET, scaled(2) * 2)[0], "2.00")

    def test_five_repetitions_leave_out_two_ranks(self) -> None:
        # Mann and Whitney's table: U <= 2 has at most 5 %, two-sided, for 5 and 5. So the interval
        # goes from the third to the last but two of the 25 quotients.
        ours, peer = [1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.3, 2.5, 2.9, 3.1]
        quotients = sorted(p / o for p in peer for o in ours)
        self.assertEqual(self.ratio(ours, peer)[1], f"{quotients[2]:.2f}..{quotients[-3]:.2f}")

    def test_too_few_repetitions_cannot_be_judged(self) -> None:
        self.assertEqual(self.ratio([1.0], [2.0]), ["\\~2.00", "-", "-", "- / -"])
        self.assertEqual(self.ratio([1.0] * 2, [2.0] * 2)[0], "\\~2.00")
        self.assertEqual(self.ratio([1.0] * 3, [2.0] * 3)[0], "2.00")

    def test_without_a_peer_ours_is_marked(self) -> None:
        # Half the interquartile range: 4 and 6 % of the median.
        for ours, marked in [(QUIET, False), (NOISY, True), ([1.0], True), ([1.0, 1.06], True),
                             ([0.9, 0.96, 1.0, 1.04, 1.1], False),
                             ([0.9, 0.94, 1.0, 1.06, 1.1], True)]:
            row = self.row(self.table(runs("rnn_fit/highway/avx3/set/1", ours)), "set")
            self.assertEqual(row[2].startswith("\\~"), marked, ours)

    def test_with_a_peer_the_ratio_is_marked_instead(self) -> None:
        row = self.row(self.table(runs("exp/highway/avx3/64/1", NOISY)
                                  + runs("exp/eigen/64/1", QUIET)), "64")
        self.assertFalse(row[2].startswith("\\~"))

    def test_many_repetitions(self) -> None:
        self.assertEqual(self.ratio(QUIET * 10, scaled(2, QUIET * 10))[:2], ["2.00", "2.00..2.00"])

    def test_range_is_marked(self) -> None:
        self.assertEqual(self.ratio([1.0, 1.1, 1.2], [2.0, 2.0, 2.0])[3], "18.2%* / 0.0%*")


class Refusals(ReportTest):
    def test_ours(self) -> None:
        name = "gemm/highway/avx3/8x8x8/1"
        output = self.run_report(self.write(refused(name) + runs("exp/eigen/64/1", [1])), status=1)
        self.assertIn(f"refused: {name}: the product is wrong", output)

    def test_peers_do_not_fail(self) -> None:
        self.assertIn("refused: gemm/blis", self.table(refused("gemm/blis/8x8x8/1/real_time")))

    def test_unknown_names_count_as_ours(self) -> None:
        self.run_report(self.write(refused("BM_product")), status=1)

    def test_only_of_the_kernels_shown(self) -> None:
        path = self.write(refused("gemm/reference/8x8x8/1") + runs("exp/eigen/64/1", [1]))
        self.assertNotIn("refused", self.run_report(path, "--kernel", "exp"))


class Files(ReportTest):
    def test_foreign_names(self) -> None:
        path = self.write(runs("BM_copy/4096/threads:2", [2, 2, 2]) + runs("BM_sort<int>", [3]), {})
        output = self.run_report(path)
        self.assertRegex(output, r"BM_copy/4096/threads:2 +2\.00 +0\.0%\*")
        self.assertRegex(output, r"BM_sort<int> +3\.00 +-")

    def test_unknown_kernels(self) -> None:
        row = self.row(self.table(runs("gru_train/highway/avx3/small/1", [2, 2])), "small")
        self.assertEqual(row[2], "2.00")

    def test_odd_entries(self) -> None:
        odd = [3, {}, {"name": "a"}, {"name": "b", "real_time": "soon"}]
        output = self.table(odd + runs("exp/eigen/64/1", [1]) + runs("exp/eigen/65/1", [-1]))
        self.assertIn("5 entries left out: entry 1 (it has no name), entry 2 (it has no name), a "
                      "(it has no real_time), b (its real_time is soon), exp/eigen/65/1 (its "
                      "real_time is -1)", output)

    def test_contexts_that_differ(self) -> None:
        first = self.write(runs("exp/eigen/64/1", [1]), {"cpu": "A  CPU", "isa": "best"})
        second = self.write(runs("exp/eigen/64/1", [1]), {"cpu": "A CPU", "isa": "avx2"}, "b.json")
        output = self.run_report(first, second)
        self.assertIn("warning: the files differ in isa", output)
        self.assertNotIn("differ in cpu", output)

    def test_machine_line(self) -> None:
        measured = runs("machine/fma_512/-/1", [1, 1, 1], flops_per_second=2.5e11)
        measured[0]["flops_per_second"] = 2.4e11
        output = self.table(measured)
        self.assertIn("fma_512, 1 thread: 250 GFLOP/s (240..250)", output)

    def test_machine_line_is_sorted(self) -> None:
        names = ["machine/fma_512/-/2", "machine/fma_256/-/1", "machine/fma_512/-/1"]
        output = self.table([run for name in names for run in runs(name, [1])])
        self.assertRegex(output, "fma_256, 1 thread.*fma_512, 1 thread.*fma_512, 2 threads")

    def test_nothing_measured(self) -> None:
        self.assertIn("holds no benchmarks", self.run_report(self.write([]), status=2))

    def test_unusable_files(self) -> None:
        for content, complaint in [("", "is empty"), ("{", "is not JSON"), ("[]", "no list"),
                                   ('{"benchmarks": 1}', "no list")]:
            path = self.folder / "bad.json"
            path.write_text(content)
            self.assertIn(complaint, self.run_report(str(path), status=2))

    def test_missing_file(self) -> None:
        complaint = self.run_report(str(self.folder / "none.json"), status=2)
        self.assertIn("none.json: No such file", complaint)
        self.assertEqual(complaint.count("\n"), 1)

    def test_bad_arguments(self) -> None:
        self.assertIn("need a FILE.json", self.run_report("--html=a.html", status=2))
        self.assertIn("not a regular expression",
                      self.run_report(self.write([]), "--kernel", "(", status=2))

    def test_reader_that_leaves(self) -> None:
        path = self.write([run for i in range(5000) for run in runs(f"exp/eigen/{i + 1}/1", [1])])
        process = subprocess.Popen([sys.executable, str(REPORT), path], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), complaint), (0, ""))


if __name__ == "__main__":
    unittest.main()
