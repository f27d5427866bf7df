"""Matplotlib's figures as SVG with text as text, tooltips, and colours that follow the theme.

A figure is drawn in placeholder colours, each of which becomes a CSS variable: an SVG in a page
takes them from the page, an SVG file contains them.
"""

from __future__ import annotations

import html
import io
import itertools
import re
import warnings

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from theme import COLOURS, ROLES  # noqa: E402

STAND_INS = {role: f"#0102{i:02x}" for i, role in enumerate(ROLES)}
SERIES = [STAND_INS[f"c{i}"] for i in range(8)]
MARKERS = ["o", "D", "s", "^", "v", "P", "X"]
CARD, INK, SOFT, RULE = (STAND_INS[role] for role in ["card", "ink", "soft", "rule"])
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

# The browser has fonts of its own; Matplotlib's gives no more than widths.
warnings.filterwarnings("ignore", message="Glyph .* missing from")
plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "lockstep", "text.parse_math": False,
    "font.family": "DejaVu Sans", "font.size": 10,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT, "xtick.color": SOFT,
    "ytick.color": SOFT, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "grid.color": RULE,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "legend.frameon": False, "legend.fontsize": 9})

_prefixes = itertools.count()
_tips: dict[str, str] = {}


def tip(artist: object, text: str) -> None:
    """What is shown while the pointer rests on it."""
    key = f"tip{len(_tips)}"
    _tips[key] = text
    artist.set_gid(key)


def with_tips(svg: str) -> str:
    svg = re.sub(r'<g id="(tip\d+)">',
                 lambda match: f"{match[0]}<title>{html.escape(_tips[match[1]])}</title>", svg)
    _tips.clear()
    return svg


def with_own_names(svg: str) -> str:
    """Names are unique in a page; Matplotlib begins anew in each figure."""
    prefix = f"s{next(_prefixes)}-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    return re.sub(r'(url\(#|href="#)', rf"\1{prefix}", svg)


def to_svg(figure: Figure, label: str) -> str:
    """The <svg> element of a page; `label` is read out instead of it."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.05,
                   metadata={key: None for key in ["Date", "Creator", "Format", "Type"]})
    plt.close(figure)
    svg = out.getvalue()
    svg = with_own_names(with_tips(svg[svg.index("<svg"):]))
    for role, stand_in in STAND_INS.items():
        svg = svg.replace(stand_in, f"var(--{role})")
    svg = svg.replace("'DejaVu Sans'", FONT)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(label)}"', 1)


def standing_alone(svg: str) -> str:
    """A file of its own, for a README."""
    at = svg.index(">", svg.index("<svg")) + 1
    style = f"<style>{COLOURS} svg {{ background: var(--card); }}</style>"
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + svg[:at] + style + svg[at:])
