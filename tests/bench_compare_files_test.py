#!/usr/bin/env python3
"""Other people's JSON: what bench/compare.py makes of it.

    bench_compare_files_test.py [-v]

Skipped (77) without SciPy.
"""

from __future__ import annotations

import gzip
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_tools import SCIPY, ToolTest, as_json, by_process  # noqa: E402


class Files(ToolTest):
    def sides(self, *heads: dict) -> tuple[Path, Path]:
        base = self.write(as_json(*by_process("a", 100), *by_process("b", 100)), "base.json")
        return base, self.write(as_json(*heads), "head.json")

    def test_of_any_file(self) -> None:
        base, head = self.sides(*by_process("a", 101), *by_process("b", 100))
        text = head.read_text()
        for content in [text.encode("utf-16"), gzip.compress(text.encode()),
                        f"Running\n{text}\nDone\n".encode()]:
            head.write_bytes(content)
            self.compare(base, head)
        out = self.compare(base, "-", input=text.encode())
        self.assertIn("HEAD: standard input, measured 14 times", out)

    def test_other_tools(self) -> None:
        base, head = self.sides()
        head.write_text('[{"benchmark": "a", "mode": "avgt", "primaryMetric": {"score": 1}}]')
        out = self.compare(base, head, "--markdown", self.folder / "a.md", status=2)
        self.assertRegex(out, r"^Could not judge: .*head.json is JMH's, not Google Benchmark's; .*:"
                              r"\njq '")
        markdown = (self.folder / "a.md").read_text()
        self.assertTrue(markdown.startswith("**Could not judge: "), markdown)
        self.assertIn("\n```\njq '", markdown)

    def test_two_benchmarks_of_one_name(self) -> None:
        twins = [*by_process("t", 100, family_index=0, per_family_instance_index=0),
                 *by_process("t", 1000, family_index=1, per_family_instance_index=0)]
        slower = [*twins[:14], *by_process("t", 2000, family_index=1, per_family_instance_index=0)]
        base = self.write(as_json(*twins), "base.json")
        out = self.compare(base, self.write(as_json(*slower), "head.json"), status=1)
        self.assertIn("Regression: 1 of 2 benchmarks", out)
        self.assertIn("t (2 of 2) (2.00)", out)
        # Which of the two is there cannot be known.
        self.compare(base, self.write(as_json(*twins[14:]), "one.json"), status=2)

    def test_what_head_lost(self) -> None:
        out = self.compare(*self.sides(*by_process("a", 100), *by_process("b", 0)), status=2)
        self.assertIn("HEAD has no usable time of what BASE has timed: b (its real_time is 0", out)
        out = self.compare(*self.sides(*by_process("a", 100), *by_process("b", 100),
                                       *by_process("c", 0)))
        self.assertIn("warning: HEAD: ", out)
        self.assertIn("14 entries left out: c (its real_time is 0", out)

    def test_a_file_with_itself(self) -> None:
        base, _ = self.sides()
        self.assertIn("BASE and HEAD hold the same measurements", self.compare(base, base))

    def test_cpu_time_is_compared_where_it_says_something_else(self) -> None:
        base = self.write(as_json(*by_process("wait", 1000, cpu_time=100.0)), "base.json")
        head = self.write(as_json(*by_process("wait", 1000, cpu_time=200.0)), "head.json")
        self.assertIn("wait, CPU time (2.00)", self.compare(base, head, status=1))
        by_clock = [self.write(as_json(*by_process("wait/real_time", 1000, cpu_time=cpu)),
                               f"{cpu}.json") for cpu in (100.0, 200.0)]
        self.assertNotIn("CPU time", self.compare(*by_clock))

    def test_aggregates_of_several_processes(self) -> None:
        def medians(time: float) -> str:
            return as_json(*by_process("a", time, run_type="aggregate", aggregate_name="median"))

        self.compare(self.write(medians(1), "base.json"), self.write(medians(2), "head.json"),
                     status=1)


if __name__ == "__main__":
    if SCIPY is None:
        print("skipped: there is no Python with scipy")
        sys.exit(77)
    unittest.main()
