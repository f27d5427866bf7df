"""The look of the benchmarks' pages and charts, which is that of the command's report."""

from __future__ import annotations

import re
from pathlib import Path

CSS = (Path(__file__).resolve().parent.parent / "docs" / "report.css").read_text(encoding="utf-8")
# Names and values of the colours, by theme: an SVG file contains them.
COLOURS = CSS[CSS.index(":root"):CSS.index("/* Charts")]
ROLES = list(dict.fromkeys(re.findall(r"--(\w+):", COLOURS)))
