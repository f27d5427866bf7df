#!/usr/bin/env python3
"""The pages and charts of bench/report.py: whole, of one file, and fit for a browser.

    bench_page_test.py [-v]

Skipped (77) without Matplotlib; what needs a browser is skipped without Chromium.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from programs import python_with  # noqa: E402

FOREIGN = ROOT / "tests" / "data" / "foreign_benchmark.json"
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])),
                None)
VOID = {"meta", "link", "br"}
OURS = "highway/avx2"
CONTEXT = {"cpu": "A <CPU>", "isa": "best", "default_backend": OURS,
           "date": "2026-01-02T03:04:05+00:00"}


def runs(name: str, milliseconds: float, **counters: float) -> list[dict]:
    return [{"name": name, "run_name": name, "run_type": "iteration", "iterations": 10,
             "real_time": milliseconds * factor, "cpu_time": milliseconds, "time_unit": "ms",
             **counters} for factor in (0.999, 1, 1.001)]


def whole_suite() -> list[dict]:
    found = runs("machine/fma_256/-/1", 1, flops_per_second=123e9)
    found += runs("machine/copy/16384/1", 1, bytes_per_second=234e9)
    for shape, rate in [("20x50x50", 87.6e9), ("64x256x256", 112e9)]:
        for threads in [1, 2, 4]:
            found += runs(f"gemm/{OURS}/{shape}/{threads}", 3.21 / threads,
                          flops_per_second=rate * threads, bytes_per_second=rate * threads / 8)
            found += runs(f"gemm/openblas/{shape}/{threads}", 4.56, flops_per_second=rate / 2)
    for n in [17, 4096]:
        found += runs(f"tanh/{OURS}/{n}/1", 2, bytes_per_second=45.6e9)
        found += runs(f"tanh/eigen/{n}/1", 3, bytes_per_second=34.5e9)
    return found + runs(f"rnn_fit/{OURS}/set/1", 789)


class Page(HTMLParser):
    """Complains of what a browser would silently mend."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)
        for key, value in attributes:
            if key == "id":
                self.names.append(value or "")
            if key in ("href", "src", "xlink:href"):
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, Optional[str]]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


class PageTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a page ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, benchmarks: list[dict], name: str = "a.json", **context: object) -> Path:
        path = self.folder / name
        path.write_text(json.dumps({"context": {**CONTEXT, **context}, "benchmarks": benchmarks}))
        return path

    def report(self, *arguments: object, status: int = 0) -> str:
        done = subprocess.run([sys.executable, str(ROOT / "bench" / "report.py"),
                               *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stderr if status == 2 else done.stdout

    def html(self, *arguments: object, status: int = 0) -> str:
        path = self.folder / "page.html"
        self.report(*arguments, "--html", path, status=status)
        return path.read_text(encoding="utf-8")

    def page(self, *arguments: object, status: int = 0) -> Page:
        page = Page(self.html(*arguments, status=status))
        self.assertEqual(len(page.names), len(set(page.names)), "a name occurs twice")
        self.assertNotIn("script", page.tags)
        for link in page.links:
            self.assertRegex(link, r"^(#|data:,$)")
            if link.startswith("#"):
                self.assertIn(link[1:], page.names)
        return page


class OfOurs(PageTest):
    def test_all_pictures(self) -> None:
        page = self.page(self.write(whole_suite()))
        for heading in ["All kernels", "Roofline, 1 thread", "Thread scaling", "gemm, 1 thread",
                        "gemm, 4 threads", "tanh, 1 thread", "rnn_fit, 1 thread"]:
            self.assertIn(heading, page.headings)
        self.assertNotIn("History", page.headings)

    def test_tables_give_every_number(self) -> None:
        page = self.page(self.write(whole_suite()))
        for number in ["87.6", "43.8", "45.6", "34.5", "789",  # bars
                       "4.00",                                  # scaling
                       "71%", "123",                            # roofline
                       "1.42"]:                                 # ratio of 4.56 to 3.21
            self.assertIn(number, page.cells)

    def test_tooltips_but_nothing_from_the_network(self) -> None:
        html = self.html(self.write(whole_suite()))
        addresses = set(re.findall(r"https?://[^\s\"'<]+", html))
        # Names of XML's name spaces, which nobody fetches.
        self.assertLessEqual(addresses, {"http://www.w3.org/2000/svg",
                                         "http://www.w3.org/1999/xlink"})
        self.assertNotIn("@import", html)
        self.assertIn("<title>20x50x50, ours: 87.6 GFLOP/s</title>", html)

    def test_colours_follow_the_theme(self) -> None:
        html = self.html(self.write(whole_suite()))
        self.assertIn("prefers-color-scheme: dark", html)
        for svg in re.findall(r"<svg.*?</svg>", html, re.S):
            self.assertEqual(re.findall(r"#0102\w\w|stroke: #000|fill: #fff", svg), [])

    def test_scaling_is_of_one_backend(self) -> None:
        page = self.page(self.write([
            *runs(f"gemm/{OURS}/8x8x8/1", 2), *runs(f"gemm/{OURS}/8x8x8/2", 2.5),
            *runs("gemm/reference/8x8x8/1", 9), *runs("gemm/reference/8x8x8/2", 1.5)]),
            "--all-backends")
        self.assertIn("0.80", page.cells)
        self.assertIn("6.00", page.cells)

    def test_history(self) -> None:
        older = self.write([{**run, "real_time": 2 * run["real_time"]} for run in whole_suite()],
                           "older.json", date="2025-12-01T00:00:00+00:00")
        page = self.page(self.write(whole_suite()), "--history", older)
        self.assertIn("History", page.headings)
        self.assertIn("2025-12-01 00:00", page.cells)
        self.assertIn("6.42 ms", page.cells)

    def test_history_of_another_machine(self) -> None:
        older = self.write(whole_suite(), "older.json", cpu="another")
        html = self.html(self.write(whole_suite()), "--history", older)
        self.assertIn("the files differ in cpu, so their figures do not compare: another", html)

    def test_names_are_escaped(self) -> None:
        name = "BM<script>&\"'$x^2$ \u6f22--"
        html = self.html(self.write(runs(name, 1)), "--title", "<b>")
        self.assertIn("A &lt;CPU&gt;", html)
        self.assertIn(name, Page(html).cells)

    def test_one_repetition(self) -> None:
        self.page(self.write([run for run in whole_suite()[::3]]))

    def test_one_backend_after_the_other(self) -> None:
        page = self.page(self.write(whole_suite() + runs("gemm/reference/20x50x50/1", 9,
                                                         flops_per_second=1e9)), "--all-backends")
        self.assertIn(f"20x50x50 {OURS}", page.cells)
        self.assertIn("20x50x50 reference", page.cells)

    def test_no_runs(self) -> None:
        page = self.page(self.write(whole_suite()), "--kernel", "none")
        self.assertIn("Nothing to show", page.headings)

    def test_reports_are_the_same_each_time(self) -> None:
        path = self.write(whole_suite())
        self.assertEqual(self.html(path), self.html(path))


class OfOthers(PageTest):
    def test_every_benchmark_is_there(self) -> None:
        page = self.page(FOREIGN, status=1)
        for name in ["DotProduct/n:4096/manual_time", "Hash/bytes:64", "OldAggregate",
                     "SortNumbers<std::pair<float, unsigned>, descending>/1024",
                     "Compress/level:3/real_time/threads:4"]:
            self.assertIn(name, page.cells)
        for number in ["410 ns", "12.0 ns", "3.00 s", "195", "3.20"]:
            self.assertIn(number, page.cells)

    def test_of_many_some_are_drawn(self) -> None:
        html = self.html(self.write([*(run for i in range(70) for run in runs(f"F{i}", 1)[:1]),
                                     *(run for i in range(210) for run in runs(f"A/{i}", 1)[:1])]))
        self.assertIn("Drawn are the first 60 of 71.", html)
        cells = Page(html).cells
        self.assertTrue({"F69", "A/209"} <= set(cells))
        html = self.html(self.write([run for i in range(210) for run in runs(f"A/{i}", 1)[:1]]))
        self.assertIn("Drawn are the first 200 of 210.", html)

    def test_text_and_markdown(self) -> None:
        for arguments in [[], ["--markdown=-"]]:
            out = self.report(FOREIGN, *arguments, status=1)
            self.assertIn("refused: Decode/broken", out)
            self.assertIn("known by an aggregate only", out)
            self.assertRegex(out, r"Hash/bytes:64\W+12.0 ns")

    def test_unusable_figures(self) -> None:
        odd = runs("BM_nan", 1) + runs("BM_good", 2)
        odd[0]["real_time"] = float("nan")
        odd[1]["real_time"] = float("inf")
        odd[2]["real_time"] = "soon"
        page = self.page(self.write(odd))
        self.assertIn("BM_good", page.cells)
        self.assertNotIn("BM_nan", page.cells)


class Pictures(PageTest):
    def test_svg_stands_alone(self) -> None:
        for source, status in [(self.write(whole_suite()), 0), (FOREIGN, 1)]:
            path = self.folder / "chart.svg"
            self.report(source, "--svg", path, status=status)
            root = ElementTree.parse(path).getroot()
            self.assertTrue(root.tag.endswith("svg"))
            self.assertIn("prefers-color-scheme: dark", path.read_text())

    def test_nothing_to_draw(self) -> None:
        err = self.report(self.write(whole_suite()), "--kernel", "none", "--svg",
                          self.folder / "chart.svg", status=2)
        self.assertIn("nothing to draw", err)

    def test_unwritable(self) -> None:
        err = self.report(self.write(whole_suite()), "--html", self.folder / "no" / "a.html",
                          status=2)
        self.assertIn("cannot write", err)


@unittest.skipUnless(CHROMIUM, "there is no Chromium")
class InABrowser(PageTest):
    def browse(self, *flags: str) -> tuple[str, str]:
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
             f"--user-data-dir={self.folder / 'profile'}", "--virtual-time-budget=1000", *flags,
             (self.folder / "page.html").as_uri()], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout, done.stderr

    def assert_renders(self, *arguments: object, status: int = 0) -> None:
        page = self.page(*arguments, status=status)
        dom, log = self.browse("--dump-dom")
        self.assertNotIn("CONSOLE", log)
        shown = Page(dom)
        self.assertEqual(shown.headings, page.headings)
        self.assertEqual(shown.cells, page.cells)
        self.assertEqual(shown.tags.count("svg"), page.tags.count("svg"))

    def test_ours(self) -> None:
        self.assert_renders(self.write(whole_suite()))

    def test_others(self) -> None:
        self.assert_renders(FOREIGN, status=1)

    def test_draws_something_in_both_themes(self) -> None:
        self.page(self.write(whole_suite()))
        pictures = []
        for theme in ["1", "0"]:
            path = self.folder / f"theme{theme}.png"
            self.browse(f"--screenshot={path}", "--window-size=390,800",
                        f"--blink-settings=preferredColorScheme={theme}")
            pictures.append(path.read_bytes())
        self.assertGreater(min(map(len, pictures)), 10_000)
        self.assertNotEqual(*pictures)


if __name__ == "__main__":
    if python_with("matplotlib") is None:
        print("skipped: there is no Python with matplotlib")
        sys.exit(77)
    unittest.main()
