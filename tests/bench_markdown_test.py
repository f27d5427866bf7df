#!/usr/bin/env python3
"""Names in GitHub's Markdown: shown as they are wherever one of the tools writes them.

    bench_markdown_test.py [-v]
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import unittest
from html.parser import HTMLParser
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_tools import SCIPY, ToolTest, as_json, by_process, entry  # noqa: E402
from texts import markdown_prose  # noqa: E402

RENDERER = shutil.which("cmark-gfm")
NAMES = ["BM_sort<float>", "BM_copy<std::vector<int>>/8", "a|b", "*x*", "a_*b*_c", "_x_", "__x__",
         "`x`", "a`b", "``", "[x](y)", "![x](y)", "@name", "#1", "GH-1", "&lt;", "&#42;", "$x$",
         "~x~", "~~x~~", "<!-- x", "<details>", "</code>", ":tada:", "https://a.example/", "a\\|b",
         "a\\\\|b", "C:\\", "\\`", "`|`", "- x", "# x", "1. x", "x: y, (z)", "BM_plain/64"]


def cell_text(cell: str) -> str:
    """What is shown of a cell that is one piece of code."""
    found = re.fullmatch(r"<code>([^<>|`*\[\]\\]*)</code>|`([^`]*)`", cell)
    assert found, cell
    return html.unescape(found[1]) if found[2] is None else found[2].replace("\\|", "|")


def first_cells(markdown: str) -> list[str]:
    rows = [re.split(r"(?<!\\)\|", line)[1].strip() for line in markdown.splitlines()
            if line.startswith("| ")]
    return [cell_text(cell) for cell in rows if cell not in ("name", "benchmark", "---")]


class Cells(HTMLParser):
    """The first of each row of a rendered page's tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.inside = ["tr"] if tag == "tr" else [*self.inside, tag]
        if tag == "tr":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.inside == ["tr", "td", "code"]:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self.inside = []


class Tables(ToolTest):
    def assert_shown(self, markdown: str) -> None:
        for name in NAMES:
            self.assertIn(name, first_cells(markdown))
        if RENDERER:
            page = subprocess.run([RENDERER, "--unsafe", "-e", "table", "-e", "strikethrough", "-e",
                                   "autolink"], input=markdown, text=True, check=True,
                                  stdout=subprocess.PIPE).stdout
            self.assertLessEqual(set(NAMES), set(Cells(page).cells))

    def test_report(self) -> None:
        self.assert_shown(self.report_of(as_json(*map(entry, NAMES)), "--markdown=-"))

    @unittest.skipUnless(SCIPY, "there is no Python with scipy")
    def test_compare(self) -> None:
        base, head = (self.write(
            as_json(*(run for name in NAMES for run in by_process(name, time))), f"{time}.json")
            for time in (1, 2))
        out = self.folder / "a.md"
        self.compare(base, head, "--markdown", out, status=1)
        self.assert_shown(out.read_text())
        self.assertEqual(self.compare(base, head, "--markdown=-", status=1), out.read_text())

    def test_shapes_of_our_names(self) -> None:
        out = self.report_of(as_json(entry("gemm/a/b/<b>*8*|x/1"), entry("gemm/c/<b>*8*|x/1")),
                             "--markdown=-")
        self.assertIn("\n| `<b>*8*\\|x` | a/b |", out)


class Prose(ToolTest):
    def test_words_with_a_meaning_are_code(self) -> None:
        for text, expected in [
                ("wrong: <b>*x*</b>, at @name (#1).", "wrong: `<b>*x*</b>`, at `@name` (`#1`)."),
                ("f()<int>() (1.20), a->b", "`f()<int>()` (1.20), `a->b`"),
                ("at __init__ and _x_", "at `__init__` and `_x_`"),
                ("C:\\x, ~y, z|z", "`C:\\x`, `~y`, `z|z`"),
                ("a `b`", "a <code>&#96;b&#96;</code>")]:
            self.assertEqual(markdown_prose(text), expected)

    def test_our_own_stays_plain(self) -> None:
        for text in ["p < 0.01 after Holm's correction", "date: 2026-01-02T03:04:05+00:00",
                     "gru_train 8x9, highway/avx3, 1 thread: 1.50 times", "CPU @ 3.60GHz (TM)",
                     "D / (3D + 3H), a sixth", "std::sort at 50%"]:
            self.assertEqual(markdown_prose(text), text)

    def test_messages_and_contexts(self) -> None:
        refused = entry("BM_a<x>", error_occurred=True, error_message="expected *1*, got <b>2</b>")
        out = self.report_of(as_json(entry("BM_b"), refused, cpu="A <CPU> *1*"), "--markdown=-",
                             status=1)
        self.assertIn("- refused: `BM_a<x>`: expected `*1*`, got `<b>2</b>`\n", out)
        self.assertIn("- machine: cpu A `<CPU>` `*1*`\n", out)

    @unittest.skipUnless(SCIPY, "there is no Python with scipy")
    def test_sentence_and_notes_of_compare(self) -> None:
        base, head = (self.write(as_json(*by_process("BM_sort<float>", time),
                                         *by_process(f"BM_{time}|*x*", time)), f"{time}_.json")
                      for time in (1, 2))
        lines = self.compare(base, head, "--markdown=-", status=1).splitlines()
        self.assertTrue(lines[0].startswith("**Regression: 1 of 1"), lines[0])
        self.assertTrue(lines[0].endswith(": `BM_sort<float>` (2.00).**"), lines[0])
        self.assertIn("- warning: 1 benchmark only in BASE, not compared: `BM_1|*x*`", lines)


if __name__ == "__main__":
    unittest.main()
