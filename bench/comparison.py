"""Rows of Lockstep beside the best peer, and how far their figures can be trusted."""

from __future__ import annotations

import functools
import math
import statistics
from dataclasses import dataclass, field
from typing import Iterable, Iterator, Optional

from gb_results import Pool, Samples
from marks import FALLBACK, SHARED, shared_gain
from names import Name, work_of

KERNEL_ORDER = ["gemm", "gemm_tn", "gemm_alpha", "gemm_packed", "gemm_batch", "gemm_loop",
                "gemm_batch_nt", "tanh", "exp", "sigmoid", "relu", "softmax", "log_softmax", "loss", "pack", "pack_tn",
                "update_sgd", "update_adamw", "update_rmsprop", "rnn_forward", "rnn_backward",
                "rnn_train", "lstm_forward", "lstm_backward", "lstm_train", "gru_forward",
                "gru_backward", "gru_train", "rnn_fit"]
# Not every peer can pack beforehand, or take many products in one call, and whoever uses it then
# calls the plain product.
STANDS_IN_FOR = {"gemm_packed": "gemm", "gemm_batch": "gemm_loop"}

# A row is too noisy to judge when the ratio's interval is wider than this share of the ratio, or,
# without a peer, when the spread of ours is wider than this share of the median.
NOISY_WIDTH = 0.10
NOISY_SPREAD = 0.05
CONFIDENCE = 0.95
# With few repetitions even the whole range is no 95 % interval; below this it is none at all.
LEAST_CONFIDENCE = 0.90
# Under this many samples quartiles mean little, and the whole range is taken.
SAMPLES_FOR_QUARTILES = 5


# Statistics.

@functools.lru_cache(maxsize=None)
def rank_sum_counts(m: int, n: int) -> tuple[int, ...]:
    """How many orders of m and n samples have Mann and Whitney's U = 0, 1, ..., m*n."""
    if m == 0 or n == 0:
        return (1,)
    counts = [0] * (m * n + 1)
    for u, count in enumerate(rank_sum_counts(m - 1, n)):
        counts[u + n] += count
    for u, count in enumerate(rank_sum_counts(m, n - 1)):
        counts[u] += count
    return tuple(counts)


@functools.lru_cache(maxsize=None)
def interval_rank(m: int, n: int) -> Optional[int]:
    """Which of the sorted m*n ratios, from either end, bounds the interval; None: too few."""
    if m * n > 400:
        deviation = math.sqrt(m * n * (m + n + 1) / 12)
        z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        return max(0, math.floor(m * n / 2 - z * deviation) - 1)
    total = math.comb(m + n, m)
    if 2 > (1 - LEAST_CONFIDENCE) * total * (1 + 1e-9):
        return None
    rank, below = 0, 0
    for count in rank_sum_counts(m, n):
        below += count
        if 2 * below > (1 - CONFIDENCE) * total:
            break
        rank += 1
    return max(0, rank - 1)


def ratio_interval(peer: Samples, ours: Samples) -> Optional[tuple[float, float]]:
    """Mann and Whitney's interval for peer time / our time; assumes no distribution."""
    rank = interval_rank(len(peer.seconds), len(ours.seconds))
    if rank is None:
        return None
    ratios = sorted(p / o for p in peer.seconds for o in ours.seconds)
    # The ratio of medians, which the table shows, can lie outside for lopsided samples.
    ratio = peer.median / ours.median
    return min(ratio, ratios[rank]), max(ratio, ratios[-1 - rank])


def relative_width(interval: tuple[float, float], ratio: float) -> float:
    return (interval[1] - interval[0]) / ratio


def spread(samples: Optional[Samples]) -> Optional[float]:
    """Half the interquartile range, or for few repetitions the whole range, over the median."""
    if samples is None or len(samples.seconds) < 2:
        return None
    if len(samples.seconds) < SAMPLES_FOR_QUARTILES:
        return (max(samples.seconds) - min(samples.seconds)) / samples.median
    low, _, high = statistics.quantiles(samples.seconds, n=4, method="inclusive")
    return (high - low) / 2 / samples.median


# Rows.

@dataclass
class Row:
    name: Name
    backend: str
    ours: Optional[Samples]
    peer_name: str
    peer: Optional[Samples]
    speed_up: Optional[float]
    gain: Optional[float] = None  # of two threads over one, where these share a core
    fallbacks: dict[str, float] = field(default_factory=dict)  # lanes of peers' fallback kernels

    @property
    def ratio(self) -> Optional[float]:
        if self.ours is None or self.peer is None:
            return None
        return self.peer.median / self.ours.median

    @functools.cached_property
    def interval(self) -> Optional[tuple[float, float]]:
        if self.ours is None or self.peer is None:
            return None
        return ratio_interval(self.peer, self.ours)

    @property
    def marks(self) -> str:
        """Why its ratio is not judged; empty if it is."""
        return (SHARED if self.gain else "") + (
            FALLBACK if self.peer_name in self.fallbacks else "")

    @property
    def judged(self) -> bool:
        return self.ratio is not None and not self.marks

    @property
    def noisy(self) -> bool:
        if self.ours is None:
            return False
        if self.ratio is None:
            width = spread(self.ours)
            return width is None or width > NOISY_SPREAD
        if self.interval is None:
            return True
        return relative_width(self.interval, self.ratio) > NOISY_WIDTH


Contenders = dict[str, Samples]


class Index:
    """Looks runs up by what a row needs."""

    def __init__(self, runs: Iterable[tuple[Name, Samples]],
                 gain: Optional[float] = None) -> None:
        self.gain = gain  # of two threads over one, where these share a core
        self._cases: dict[tuple, dict[str, tuple[Name, Samples]]] = {}
        for name, samples in runs:
            key = (name.kernel, name.threads, name.case)
            self._cases.setdefault(key, {})[name.contender] = (name, samples)

    def groups(self) -> list[tuple[str, int]]:
        return sorted({(kernel, threads) for kernel, threads, _ in self._cases},
                      key=lambda group: (kernel_rank(group[0]), group))

    def cases(self, kernel: str, threads: int) -> list[tuple[str, bool]]:
        """From little work to much; repetitions in random order come in any."""
        found = [case for k, t, case in self._cases if (k, t) == (kernel, threads)]
        return sorted(found, key=lambda case: (work_of(case[0]), case))

    def contenders(self, kernel: str, threads: int, case: tuple[str, bool],
                   ours: bool) -> Contenders:
        found = self._cases.get((kernel, threads, case), {})
        return {c: samples for c, (name, samples) in found.items() if name.ours == ours}

    def peers(self, kernel: str, threads: int, case: tuple[str, bool]) -> Contenders:
        peers = self.contenders(kernel, threads, case, ours=False)
        plain = STANDS_IN_FOR.get(kernel)
        if plain:
            for peer, samples in self.contenders(plain, threads, case, ours=False).items():
                peers[f"{peer} ({plain})"] = samples
        return peers


def kernels_index(pool: Pool) -> Index:
    """Of all runs but those that measure the machine."""
    runs = ((name, samples) for name, samples in pool.named() if name.kernel != "machine")
    return Index(runs, shared_gain(pool.peaks))


def kernel_rank(kernel: str) -> int:
    return KERNEL_ORDER.index(kernel) if kernel in KERNEL_ORDER else len(KERNEL_ORDER)


def fastest(contenders: Contenders) -> Optional[str]:
    return min(contenders, key=lambda name: contenders[name].median, default=None)


def best_peer(peers: Contenders) -> Optional[str]:
    """The fastest; one that runs fallback kernels only if there is no other."""
    return fastest({name: samples for name, samples in peers.items()
                    if not samples.fallback_lanes} or peers)


def shown_backends(ours: Contenders, default: Optional[str], everything: bool) -> list[str]:
    """At least one name, so that a row with peers alone is shown too."""
    if everything and ours:
        return sorted(ours, key=lambda name: ours[name].median)
    return [default if default in ours else fastest(ours) or "-"]


def build_rows(index: Index, kernel: str, threads: int, default: Optional[str],
               everything: bool) -> Iterator[Row]:
    for case in index.cases(kernel, threads):
        ours = index.contenders(kernel, threads, case, ours=True)
        alone = index.contenders(kernel, 1, case, ours=True)
        peers = index.peers(kernel, threads, case)
        best = best_peer(peers)
        fallbacks = {name: samples.fallback_lanes for name, samples in peers.items()
                     if samples.fallback_lanes}
        for backend in shown_backends(ours, default, everything):
            mine = ours.get(backend)
            speed_up = None
            if mine and threads > 1 and backend in alone:
                speed_up = alone[backend].median / mine.median
            yield Row(Name(kernel, backend, case[0], threads, case[1]), backend, mine,
                      best or "-", peers[best] if best else None, speed_up,
                      index.gain if threads == 2 else None, fallbacks)
