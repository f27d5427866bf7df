#!/usr/bin/env python3
"""Other people's JSON: what bench/report.py reads of it, and what it says.

    bench_files_test.py [-v]
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_tools import ToolTest, as_json, entry, old_entry  # noqa: E402

GOOD = as_json(entry("BM_a"), entry("BM_b", 2))
TIMES = {"BM_a": "1.00", "BM_b": "2.00"}


class Bytes(ToolTest):
    def test_encodings(self) -> None:
        for encoding in ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]:
            out = self.report_of(GOOD.encode(encoding))
            self.assertEqual((encoding, self.times(out)), (encoding, TIMES))
            self.assertNotIn("warning", out)

    def test_what_is_no_unicode_is_said(self) -> None:
        out = self.report_of(GOOD.replace("BM_a", "BM_\u00e4").encode("latin-1"))
        self.assertIn("bytes that are not Unicode are shown as \ufffd", out)
        self.assertEqual(self.times(out), {"BM_\ufffd": "1.00", "BM_b": "2.00"})

    def test_compressed(self) -> None:
        for module in [gzip, bz2, lzma]:
            self.assertEqual(self.times(self.report_of(module.compress(GOOD.encode()))), TIMES)
        for data in [gzip.compress(GOOD.encode())[:-9], b"\x28\xb5\x2f\xfd\0", b"PK\3\4"]:
            self.assertIn("a.json is compressed and cannot be unpacked", self.report_of(
                data, status=2))

    def test_standard_input(self) -> None:
        self.assertEqual(self.times(self.report("-", input=GOOD.encode())), TIMES)
        self.assertIn("standard input: it is closed, or was read before",
                      self.report("-", "-", status=2, input=GOOD.encode()))
        self.assertIn("standard input is empty", self.report("-", status=2, input=b""))

    def test_folders(self) -> None:
        self.assertIn("it is a folder; expected a file", self.report(self.folder, status=2))

    def test_a_file_counts_once(self) -> None:
        path = self.write(GOOD)
        shutil.copy(path, self.folder / "b.json")
        for twice in [[path, path], [path, self.folder / "b.json"]]:
            out = self.report(*twice)
            self.assertIn("holds the same as", out)
            self.assertRegex(out, "BM_a +1.00 +-")  # No spread, as there is one repetition.


class Text(ToolTest):
    def test_around_the_json(self) -> None:
        log = '[warn] "odd\nRunning {} with {"seed": 42} {x\n'
        self.assertEqual(self.times(self.report_of(log + GOOD)), TIMES)
        out = self.report_of(log + GOOD + "\nDone in 3 s\n")
        self.assertEqual(self.times(out), TIMES)
        self.assertIn("a.json: 2 lines of other text before the JSON", out)
        self.assertIn("a.json: 1 line of other text behind the JSON", out)

    def test_one_result_behind_the_other(self) -> None:
        self.assertIn("a.json holds 2 results", self.report_of(GOOD + GOOD, status=2))

    def test_numbers_that_json_does_not_know(self) -> None:
        content = as_json(entry("BM_nan(ind)"), entry("BM_a", 3)).replace('"threads": 1',
                                                                          '"threads": NUMBER')
        for number in ["nan", "-nan", "NaN", "inf", "-inf", "Infinity", "-nan(ind)", "nan(snan)",
                       "1.#QNAN", "-1.#IND", "1.#INF"]:
            self.assertEqual(self.times(self.report_of(content.replace("NUMBER", number))),
                             {"BM_nan(ind)": "1.00", "BM_a": "3.00"}, number)

    def test_paths_of_windows(self) -> None:
        # Old versions of the library do not double all backslashes.
        content = as_json(entry("BM_PATH"), executable="EXE").replace("EXE", r"C:\work\bench.exe")
        self.assertEqual(self.times(self.report_of(content)), {"BM_PATH": "1.00"})
        content = content.replace("BM_PATH", r"BM_load/C:\work\temp\new.bin")
        self.assertEqual(self.times(self.report_of(content)),
                         {r"BM_load/C:\work\temp\new.bin": "1.00"})

    def test_an_interrupted_program(self) -> None:
        for length in [len(GOOD) - 2, GOOD.index("repetition_index") + 5]:
            self.assertIn("ends in the middle", self.report_of(GOOD[:length], status=2))

    def test_deep_and_long(self) -> None:
        for content in ["[" * 100_000, '{"a":' * 100_000, "{" * 100_000,
                        GOOD.replace("2,", "1" + "0" * 5000 + ",")]:
            self.assertIn("is not JSON", self.report_of(content, status=2))


class OtherTools(ToolTest):
    RESULTS = {
        "pytest-benchmark": {"machine_info": {}, "benchmarks": [
            {"name": "test_sort", "fullname": "t.py::test_sort", "stats": {"median": 3e-9}}]},
        "nanobench": {"results": [{"title": "t.py:", "name": "test_sort",
                                   "median(elapsed)": 3e-9}]},
        "JMH": [{"benchmark": "t.py::test_sort", "mode": "avgt",
                 "primaryMetric": {"score": 3, "scoreUnit": "ns/op"}}],
        "hyperfine": {"results": [{"command": "t.py::test_sort", "median": 3e-9}]},
        "BenchmarkDotNet": {"Benchmarks": [{"FullName": "t.py::test_sort",
                                            "Statistics": {"Median": 3}}]},
        "Criterion.rs": {"mean": {}, "std_dev": {}, "median": {"point_estimate": 3}}}

    def test_are_named(self) -> None:
        for tool, content in self.RESULTS.items():
            complaint = self.report_of(json.dumps(content), status=2)
            self.assertIn(f"a.json is {tool}'s, not Google Benchmark's", complaint)
            self.assertIn("\njq '", complaint)

    @unittest.skipUnless(shutil.which("jq"), "there is no jq")
    def test_are_converted_as_is_said(self) -> None:
        for tool, content in self.RESULTS.items():
            command = self.report_of(json.dumps(content), status=2).splitlines()[1]
            converted = subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE,
                                       cwd=self.folder).stdout
            (name, time), = self.times(self.report_of(converted)).items()
            self.assertEqual(time, "3.00", tool)
            self.assertIn(name, ["t.py::test_sort", "t.py:/test_sort", "NAME"])

    def test_kept_results(self) -> None:
        content = json.dumps({"machine": "a", "date": "b", "runs": []})
        self.assertIn("one of Lockstep's kept results", self.report_of(content, status=2))

    def test_anything_else(self) -> None:
        for content in ["null", "3", '"a"', "[]", '[{"name": "a"}]', '{"context": {}}',
                        '{"benchmarks": null}']:
            self.assertIn('has no list "benchmarks"', self.report_of(content, status=2))
        for content in ["name,real_time\na,1\n", b"\x89PNG\r\n\x1a\n" + bytes(range(256))]:
            self.assertIn("expected what a Google Benchmark program writes",
                          self.report_of(content, status=2))


class Entries(ToolTest):
    def test_what_is_left_out_is_named(self) -> None:
        out = self.report_of(as_json(
            entry("BM_min", time_unit="min"), entry("BM_none", time_unit=""), entry("BM_zero", 0.0),
            entry("BM_minus", -1), entry("BM_endless", 1e400), entry("BM_s", 2, time_unit="s"),
            entry("BM_ms", 2, time_unit="ms"), 3, {"real_time": 1}))
        self.assertEqual(self.times(out), {"BM_s": "2.00 s", "BM_ms": "2.00 ms"})
        self.assertIn(
            "a.json: 7 entries left out: entry 8 (it has no name), entry 9 (it has no name), "
            "BM_min (its time unit is 'min'; expected ns, us, ms, s), BM_none (its time unit is "
            "''; expected ns, us, ms, s), BM_zero (its real_time is 0.0) and 2 more", out)

    def test_nothing_is_left(self) -> None:
        for entries in [[], [entry("BM_a", 0.0)], [{"name": "BM_a"}], [None]]:
            complaint = self.report_of(as_json(*entries), status=2)
            self.assertIn("there is nothing to report: ", complaint)
            self.assertIn("BM_a (it" if entries and entries[0] else "a.json", complaint)

    def test_odd_values(self) -> None:
        out = self.report_of(as_json(
            entry("BM_list", [1]), entry("BM_true", True), entry("BM_text", "1.0"),
            entry("BM_large", 10 ** 400), entry("BM_tiny", 1e-300), entry("BM_unit", time_unit=[]),
            entry("BM_index", family_index="a", per_family_instance_index=0.5, threads=None),
            entry("BM_counter", bytes_per_second=10 ** 400), entry(5), date=7, cpu={"a": None},
            executable=3))
        self.assertEqual(list(self.times(out)), ["BM_index", "BM_counter", "5"])

    def test_names_are_cleaned(self) -> None:
        names = {"\x1b[31;1mBM_red\x1b[0m": "BM_red", "BM_\x1b]0;title\x07window": "BM_window",
                 "BM_\x9b1mbold": "BM_bold", "BM_new\nline": "BM_new line", "BM_\ttab ": "BM_ tab",
                 "BM_\x07bell": "BM_\ufffdbell", "BM_\u202eturned": "BM_\ufffdturned",
                 "BM_\ud800half": "BM_\ufffdhalf", "BM_\uffffnone": "BM_\ufffdnone",
                 "BM_\u6f22\u5b57 \U0001f600": "BM_\u6f22\u5b57 \U0001f600"}
        wrong = entry("BM_wrong", error_occurred=True, error_message="\x1b[1mno\x1b[0m\nway")
        content = as_json(*map(entry, names), wrong, cpu="A\x1b[1m CPU\x07")
        out = self.report_of(content, status=1)
        self.assertEqual(list(self.times(out)), list(names.values()))
        self.assertIn("refused: BM_wrong: no way", out)
        self.assertIn("machine: cpu A CPU\ufffd", out)
        control = set(map(chr, [*range(10), *range(11, 32), *range(127, 160)]))
        for text in [out, self.report_of(content, "--markdown=-", status=1)]:
            self.assertEqual(set(text) & control, set())
        # As they are, with real line breaks.
        self.assertIn("BM_new line", self.report_of(content.replace("\\n", "\n"), status=1))

    def test_names_in_a_small_terminal(self) -> None:
        out = self.report(self.write(as_json(entry("BM_\u6f22"))),
                          env={"PYTHONIOENCODING": "latin-1", "PATH": "/usr/bin:/bin"})
        self.assertIn("BM_\\u6f22", out)

    def test_sizes_without_measure(self) -> None:
        nines = "9" * 5000
        names = [f"BM/threads:{nines}", f"gemm/a/b/{nines}/1", f"tanh/a/b/{nines}/1",
                 f"tanh/a/b/{'x'.join(['9' * 15] * 40)}/1", "tanh/a/b/0/1", f"exp/a/b/8/{nines}",
                 "gru_train/a/b/8x9x4x99999999999x16/1"]
        out = self.report_of(as_json(*map(entry, names)))
        for name in names[1:5]:
            self.assertIn(name.split("/")[-2], out)


class Names(ToolTest):
    def test_two_benchmarks_of_one_name(self) -> None:
        def places(family: int, index: int = 0) -> dict:
            return {"family_index": family, "per_family_instance_index": index}

        old = [entry("BM_a", 1), entry("BM_a", 1000)]
        # In any order, as with random interleaving.
        new = [entry("BM_a", 1000, **places(1)), entry("BM_a", 1, **places(0)),
               entry("BM_a", 1, **places(0), repetition_index=1),
               entry("BM_a", 1000, **places(1), repetition_index=1)]
        aggregates = [entry("BM_a", time, run_type="aggregate", aggregate_name="median")
                      for time in (1, 1000)]
        for entries in [old, new, aggregates]:
            out = self.report_of(as_json(*entries))
            self.assertEqual(self.times(out), {"BM_a (1 of 2)": "1.00 ns",
                                               "BM_a (2 of 2)": "1.00 us"})
            self.assertIn("several benchmarks have the same name and are told apart by their "
                          "order: BM_a", out)

    def test_repetitions_are_one_benchmark(self) -> None:
        out = self.report_of(as_json(*(entry("BM_a", i + 1, repetition_index=i) for i in range(3))))
        self.assertEqual(self.times(out), {"BM_a": "2.00"})
        self.assertNotIn("warning", out)

    def test_entries_without_numbers_are_pooled_and_named(self) -> None:
        place = {"family_index": 0, "per_family_instance_index": 0}
        for entries in [[old_entry("BM_a"), old_entry("BM_a", 3)],
                        [entry("BM_a", **place), entry("BM_a", 3, **place)]]:
            out = self.report_of(as_json(*entries))
            self.assertEqual(self.times(out), {"BM_a": "2.00"})
            self.assertIn("taken for repetitions of one benchmark: BM_a", out)

    def test_one_name_in_two_programs(self) -> None:
        first = self.write(as_json(entry("BM_a"), executable="./build/parser"))
        for program, warned in [("C:\\parser", False), ("./build/sorter", True)]:
            second = self.write(as_json(entry("BM_a", 3), executable=program), "b.json")
            out = self.report(first, second)
            self.assertEqual("benchmarks of several programs have one name" in out, warned)

    def test_aggregates_of_old_versions(self) -> None:
        out = self.report_of(as_json(
            *(old_entry("X", time) for time in (1, 2, 9)), old_entry("X_mean", 4),
            old_entry("X_median", 2), old_entry("X_stddev", 5), old_entry("X_cv", 1),
            old_entry("Y_mean", 5), old_entry("Y_median", 6), old_entry("Y_stddev", 1),
            {"name": "Y_BigO", "cpu_coefficient": 3.2, "big_o": "NlgN", "time_unit": "ns"},
            {"name": "Y_RMS", "real_coefficient": 0.02, "rms": 0.02}))
        self.assertEqual(self.times(out), {"X": "2.00", "Y": "6.00"})
        self.assertIn("9 entries taken for aggregates by their names", out)
        self.assertIn("1 benchmark known by an aggregate only", out)
        self.assertNotIn("left out", out)

    def test_names_like_those_of_aggregates(self) -> None:
        names = ["filter", "filter_median", "find", "find_max", "BM_mean", "BM_cv", "only_stddev"]
        out = self.report_of(as_json(*map(old_entry, names)))
        self.assertEqual(list(self.times(out)), names)
        marked = ["sort", "sort_mean", "sort_stddev"]
        self.assertEqual(list(self.times(self.report_of(as_json(*map(entry, marked))))), marked)

    def test_aggregates_that_say_nothing_of_a_time(self) -> None:
        def aggregate(name: str, kind: str, time: object = 1) -> dict:
            return entry(f"{name}_{kind}", time, run_name=name, run_type="aggregate",
                         aggregate_name=kind)

        out = self.report_of(as_json(
            aggregate("A", "mean", 5), aggregate("A", "median", 4), aggregate("A", "stddev"),
            aggregate("B", "stddev"), aggregate("C", "median", 0), aggregate("D", "BigO")))
        self.assertEqual(self.times(out), {"A": "4.00"})
        self.assertIn("2 entries left out: B (it has aggregates, but no usable median or mean), C",
                      out)

    def test_cpu_time_that_says_something_else(self) -> None:
        for cpu, shown in [(10, True), (90, False), (1000, True), (0, False)]:
            out = self.report_of(as_json(entry("BM_wait", 100, cpu_time=cpu)))
            self.assertEqual("  CPU" in out, shown, cpu)
        self.assertNotIn("  CPU", self.report_of(as_json(
            entry("BM_wait/real_time/threads:2", 100, cpu_time=10))))


class History(ToolTest):
    def test_warnings_of_older_files(self) -> None:
        older = self.write(as_json(entry("BM_a"), entry("BM_b", 0)), "older.json")
        out = self.report(self.write(GOOD), "--history", older)
        self.assertIn("older.json: 1 entry left out: BM_b", out)


if __name__ == "__main__":
    unittest.main()
