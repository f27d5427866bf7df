"""Text for people: what other programs wrote, made harmless for terminals and GitHub's Markdown."""

from __future__ import annotations

import re
import unicodedata
from typing import Iterable, Iterator, Optional, Sequence


def plural(count: int, word: str, several: str = "") -> str:
    return f"{count} {word if count == 1 else several or word + 's'}"


def listing(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


# Escape codes of terminals: with parameters, up to a bell or a string's end, or of two characters.
ESCAPE_CODE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b[ -/]*[0-~]")
# Control characters, halves of surrogate pairs, what turns the direction of writing, and what XML
# forbids.
UNSHOWABLE = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
                        "\ufeff\ufffe\uffff]")


def cleaned(text: str) -> str:
    """On one line, without what a terminal would obey or a page could not contain."""
    if not text.isascii() or not text.isprintable():
        text = ESCAPE_CODE.sub("", text)
    return UNSHOWABLE.sub("\ufffd", " ".join(text.split()))


def harmless(line: str) -> str:
    """Of a program's output, with its blanks."""
    return UNSHOWABLE.sub("\ufffd", ESCAPE_CODE.sub("", line.expandtabs()))


def width_of(text: str) -> int:
    """In columns of a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(character) else
               2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


# GitHub's Markdown. In code nothing has a meaning: no tags, emphasis, links, mentions or emoji.

# Underscores within words and comparisons have none either, and times of day are no emoji.
SPECIAL = re.compile(r"[\\`*\[\]|~$]|<(?=\S)|(?<=\S)>|(?<![^\W_])_|_(?![^\W_])|@\w|#\d|\bGH-\d|"
                     r"&#?\w+;|:(?:[+-]1|100|1234|[\w+-]*[a-z][\w+-]*):|://|www\.")
# How our own figures are marked as noisy.
NOISY = re.compile(r"~(?=\d)")


def markdown_code(text: str) -> str:
    """A benchmark's name as it is."""
    if "`" in text or "\\|" in text:
        # Entities are the only way where a fence or a table's escape would be taken for the text.
        inner = re.sub(r"[^\w\s/:.,-]|_", lambda match: f"&#{ord(match[0])};", text)
        return f"<code>{inner}</code>"
    return f"`{text}`" if text else ""


def markdown_cell(text: str) -> str:
    """Of Markdown for a line: a bar would end the cell."""
    return text.replace("|", "\\|")


def marked_word(word: str) -> str:
    """A word as code if something in it has a meaning, without the punctuation around it."""
    if not SPECIAL.search(word):
        return word
    core = word.rstrip(",.;:")
    tail = word[len(core):]
    opens, closes = core.startswith("("), core.endswith(")")
    excess = core.count("(") - core.count(")")
    if opens and (excess > 0 or closes):
        return f"({marked_word(core[1:] + tail)}"
    if closes and excess < 0:
        return f"{marked_word(core[:-1])}){tail}"
    return markdown_code(core) + tail


def markdown_prose(line: str) -> str:
    """A line of ours, which may quote names and messages of others."""
    return " ".join(map(marked_word, line.split(" ")))


def markdown_figure(cell: str) -> str:
    """A cell that is all ours. A tilde before each of two would strike out what is between."""
    return NOISY.sub(r"\\~", cell)


def markdown_block(lines: Sequence[str]) -> Iterator[str]:
    """What a program has said, line by line."""
    if lines:
        fence = "`" * max(3, 1 + max(len(run) for run in re.findall("`*", "\n".join(lines))))
        yield from [fence, *lines, fence, ""]


def markdown_items(lines: Iterable[Optional[str]]) -> Iterator[str]:
    yield from (f"- {markdown_prose(line)}" for line in lines if line)
