"""What a stack of layers costs beside its layers alone, each of which was measured by itself."""

from __future__ import annotations

import re
from typing import Iterator, Optional, Sequence

from comparison import Row
from gb_results import Samples
from names import SIZE
from texts import plural

STACK = re.compile(rf"(?P<minibatch>{SIZE}x{SIZE})x(?P<features>{SIZE})x(?P<layers>\d{{1,3}})x"
                   rf"(?P<hidden>{SIZE})(?P<kind>(?P<both>-bidirectional)?(?:-ragged)?)")


def layers_alone(shape: str) -> list[str]:
    """Their shapes; none of what is no stack."""
    found = STACK.fullmatch(shape)
    if not found:
        return []
    hidden = int(found["hidden"])
    outputs = hidden * (2 if found["both"] else 1)
    inputs = [int(found["features"]), *[outputs] * (int(found["layers"]) - 1)]
    return [f"{found['minibatch']}x{n}x{hidden}{found['kind']}" for n in inputs]


def at_equal_work(stack: Samples, layers: Sequence[Samples]) -> Optional[float]:
    """How much longer the stack takes for a FLOP that is needed."""
    shares = [samples.counter("of_peak") for samples in [stack, *layers]]
    if not all(shares):
        return None
    done = sum(share * samples.median for share, samples in zip(shares[1:], layers))
    return done / sum(samples.median for samples in layers) / shares[0]


def stack_lines(rows: Sequence[Row]) -> Iterator[str]:
    ours = {(row.name.kernel, row.backend, row.name.threads, row.name.shape): row.ours
            for row in rows if row.ours}
    for (kernel, backend, threads, shape), stack in ours.items():
        layers = [ours.get((kernel, backend, threads, alone)) for alone in layers_alone(shape)]
        if not layers or not all(layers):
            continue
        times = stack.median / sum(samples.median for samples in layers)
        per_flop = at_equal_work(stack, layers)
        yield (f"{kernel} {shape}, {backend}, {plural(threads, 'thread')}: {times:.2f} times its "
               "layers alone"
               + (f", {per_flop:.2f} for each FLOP that is needed" if per_flop else ""))
