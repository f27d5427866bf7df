"""Names of benchmarks, <kernel>/<contender>/<shape>/<threads>[/cold], and what the library adds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Optional

# What Google Benchmark itself appends to a name.
LIBRARY_SUFFIX = re.compile(
    r"/(?:real_time|process_time|manual_time|"
    r"(?:min_time|min_warmup_time|iterations|repeats):[^/]+)$")
NAME = re.compile(
    r"(?P<kernel>[a-z]\w*)/(?P<contender>[A-Za-z]\w*(?:/[A-Za-z]\w*)?)/"
    r"(?P<shape>[^/\s:]+)/(?P<threads>[1-9]\d{0,8})(?P<cold>/cold)?")
# Sizes in other people's names may have any number of digits, and Python limits those of integers.
SIZE = r"\d{1,15}"


@dataclass(frozen=True)
class Name:
    kernel: str
    contender: str
    shape: str
    threads: int
    cold: bool

    @staticmethod
    def parse(text: str) -> Optional[Name]:
        match = NAME.fullmatch(text)
        if not match:
            return None
        parts = match.groupdict()
        return Name(parts["kernel"], parts["contender"], parts["shape"], int(parts["threads"]),
                    parts["cold"] is not None)

    @property
    def ours(self) -> bool:
        return "/" in self.contender or self.contender == "reference"

    @property
    def case(self) -> tuple[str, bool]:
        """What makes a row of a table."""
        return self.shape, self.cold

    @property
    def elements(self) -> Optional[float]:
        if not re.fullmatch(rf"{SIZE}(x{SIZE})*", self.shape):
            return None
        return math.prod(map(float, self.shape.split("x")))


def work_of(shape: str) -> float:
    """The product of the sizes in a shape's name, and 1 for a name without any."""
    return math.prod(float(size) for size in re.findall(SIZE, shape))


def strip_library_suffixes(text: str) -> str:
    while True:
        shorter = LIBRARY_SUFFIX.sub("", text)
        if shorter == text:
            return text
        text = shorter
