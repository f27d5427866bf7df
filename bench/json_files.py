"""The one reader of benchmarks' JSON as it comes: from a file or the standard input, compressed, in
any encoding of Unicode, with text around it, with numbers and backslashes that JSON does not know.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Optional, Union

from other_tools import tool_of
from programs import Unusable
from texts import cleaned, plural

STANDARD_INPUT = "-"
EXPECTED = "expected what a Google Benchmark program writes with --benchmark_out=FILE"
# How a compressed file begins, and the module that unpacks it; none of Python's for some.
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\0": "lzma",
              b"\x28\xb5\x2f\xfd": "", b"PK\x03\x04": ""}
# Strings of JSON, and numbers as C's printf writes those that JSON does not know.
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*(?:"|\\?$|\\?(?=\n))|(?<![\w-])-?'
                   r"(?:(?:nan|inf(?:inity)?)(?:\([^)\s]*\))?(?!\w)|\d\.#\w+)", re.IGNORECASE)
SOUND_STRING = re.compile(r'"(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
# Objects that are looked at in vain in a text, before it is taken for none with JSON in it.
MOST_ATTEMPTS = 1000


@dataclass
class Document:
    label: str  # what messages call it
    content: dict
    digest: bytes
    notes: list[str] = field(default_factory=list)


def label_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else cleaned(path)


# From bytes to text.

def read_bytes(path: str) -> bytes:
    try:
        if path != STANDARD_INPUT:
            return Path(path).read_bytes()
        if sys.stdin is None or sys.stdin.closed:
            raise Unusable("cannot read standard input: it is closed, or was read before")
        with sys.stdin:
            return sys.stdin.buffer.read()
    except IsADirectoryError as error:
        raise Unusable(f"cannot read {label_of(path)}: it is a folder; expected a file") from error
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or "it is larger than the memory"
        raise Unusable(f"cannot read {label_of(path)}: {reason}") from error


def unpacked(data: bytes, label: str) -> bytes:
    name = next((name for begin, name in COMPRESSED.items() if data.startswith(begin)), None)
    if name is None:
        return data
    try:
        return importlib.import_module(name).decompress(data)
    except Exception as error:  # Each module has its own, and a Python may have been built without.
        reason = str(error) if name else "expected gzip, bzip2 or xz"
        raise Unusable(f"{label} is compressed and cannot be unpacked here: {reason}") from error


def decoded(data: bytes) -> str:
    return data.decode(json.detect_encoding(data), errors="replace").removeprefix("\ufeff")


# From text to JSON.

def mended(text: str) -> str:
    """With numbers such as -nan(ind) as Python's reader knows them, and with doubled backslashes in
    strings that were not written by JSON's rules, such as paths of Windows."""
    def token(match: re.Match[str]) -> str:
        found = match[0]
        if not found.startswith('"'):
            return "Infinity" if "inf" in found.lower() else "NaN"
        return found if SOUND_STRING.fullmatch(found) else re.sub(r'\\(?!")', r"\\\\", found)

    return TOKEN.sub(token, text)


def objects_in(text: str) -> Iterator[tuple[dict, int, int]]:
    """Objects of JSON with their places; those within others are not looked for."""
    decoder = json.JSONDecoder(strict=False)
    at, attempts = text.find("{"), 0
    while at >= 0 and attempts < MOST_ATTEMPTS:
        try:
            content, end = decoder.raw_decode(text, at)
            yield content, at, end
        except (ValueError, RecursionError):
            attempts += 1
            end = at + 1
        at = text.find("{", end)


def embedded(text: str, label: str) -> Optional[tuple[dict, list[str]]]:
    """What holds benchmarks in a text that holds other lines too, and a note of these."""
    found = [part for part in objects_in(text) if "benchmarks" in part[0]]
    if not found:
        return None
    if len(found) > 1:
        raise Unusable(f"{label} holds {len(found)} results, one behind the other; expected a file "
                       "of each")
    content, begin, end = found[0]
    notes = [f"{plural(len(part.strip().splitlines()), 'line')} of other text {where} the JSON"
             for where, part in [("before", text[:begin]), ("behind", text[end:])] if part.strip()]
    return content, notes


def parsed(text: str, label: str) -> tuple[object, list[str]]:
    try:
        return json.loads(text, strict=False), []
    except (ValueError, RecursionError) as error:
        found = embedded(text, label)
        if found is None:
            better = mended(text)
            found = embedded(better, label) if better != text else None
        if found:
            return found
        is_cut = isinstance(error, json.JSONDecodeError) and (
            error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"))
        reason = "it ends in the middle (was the program interrupted?)" if is_cut else str(error)
        raise Unusable(f"{label} is not JSON: {reason}; {EXPECTED}") from error


def refuse_others(content: object, label: str, path: str) -> None:
    tool = tool_of(content)
    if tool:
        raise Unusable(f"{label} is {tool.what}, not Google Benchmark's; {tool.advice_for(path)}")
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        instead = " but is a list itself" if isinstance(content, list) else ""
        raise Unusable(f"{label} is not Google Benchmark's JSON: it has no list \"benchmarks\""
                       f"{instead}; {EXPECTED}")


def read_document(path: Union[str, Path]) -> Document:
    """Raises Unusable."""
    path = str(path)
    label = label_of(path)
    data = read_bytes(path)
    text = decoded(unpacked(data, label))
    if not text.strip():
        raise Unusable(f"{label} is empty; expected Google Benchmark's JSON (did the filter "
                       "match no benchmark?)")
    content, notes = parsed(text, label)
    refuse_others(content, label, path)
    if "\ufffd" in text:
        notes.append("bytes that are not Unicode are shown as \ufffd")
    return Document(label, content, hashlib.sha256(data).digest(), notes)
