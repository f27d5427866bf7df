"""What is shown and marked, but not judged: rows of threads that share a core, and ratios to a peer
that runs fallback kernels."""

from __future__ import annotations

from typing import Iterable, Mapping, Optional

SHARED, FALLBACK = "†", "‡"
# Two threads with a core each reach nearly twice the multiply-add peak of one, and on one core no
# more than one does.
LEAST_GAIN = 1.6

Peaks = dict[int, float]  # GFLOP/s of multiply-adds by threads


def higher(*found: Mapping[int, float]) -> Peaks:
    """What disturbs a measurement of a peak makes it lower, so the highest counts."""
    return {threads: max(peaks[threads] for peaks in found if threads in peaks)
            for threads in sorted({threads for peaks in found for threads in peaks})}


def stated_peaks(context: Mapping[str, object]) -> Peaks:
    """Of one and two threads, as lockstep_bench measures them first."""
    found = {}
    for threads in (1, 2):
        try:
            found[threads] = float(str(context[f"fma_gflops_{threads}"]))
        except (KeyError, ValueError):
            continue
    return found


def shared_gain(peaks: Mapping[int, float]) -> Optional[float]:
    """The peak of two threads over that of one, where it is that of a shared core; otherwise None."""
    if not peaks.get(1) or 2 not in peaks or peaks[2] >= LEAST_GAIN * peaks[1]:
        return None
    return peaks[2] / peaks[1]


def shared_sentence(gain: float) -> str:
    return (f"two threads reach {gain:.2f} times the multiply-add peak of one, less than "
            f"{LEAST_GAIN:g} times, as where they share one core: what runs on two threads is not judged")


def fallback_sentence(lanes: Mapping[str, float]) -> str:
    peers = ", ".join(f"{peer} ({count:.0f} lanes)" for peer, count in sorted(lanes.items()))
    return ("a fallback: the peer's kernels have fewer lanes than the run allows. It is the best "
            f"peer only where no other has the case, and that row is not judged. Here: {peers}")


def not_judged(count: int) -> Iterable[str]:
    """As the last part of a summary."""
    return [f"{count} not judged"] if count else []
