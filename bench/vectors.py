"""float32 per vector: of this CPU, and of the kernels that the Python peers' libraries run."""

from __future__ import annotations

from typing import Mapping, Optional

# OpenBLAS's cores, as in peers/openblas_core.h; all others of x86 have no fused multiply-adds.
CORES = {16: {"skylakex", "cooperlake", "sapphirerapids"},
         8: {"haswell", "zen", "excavator", "steamroller", "piledriver"}}
CAPABILITIES = {"AVX512": 16, "AVX2": 8, "DEFAULT": 4}


def cpu_lanes(cpu: Mapping[str, str]) -> Optional[int]:
    """By a processor's part of /proc/cpuinfo; None: not x86."""
    flags = set(cpu.get("flags", "").split())
    if "sse2" not in flags:
        return None
    return 16 if "avx512f" in flags else 8 if {"avx2", "fma"} <= flags else 4


def core_lanes(core: str) -> int:
    return next((lanes for lanes, names in CORES.items() if core.lower() in names), 4)


def core_to_set(own: str, lanes: Optional[int], vendor: str) -> Optional[str]:
    """For OPENBLAS_CORETYPE, where the core that OpenBLAS takes by itself is narrower."""
    if lanes is None or core_lanes(own) >= lanes:
        return None
    if lanes >= 16:
        return "SkylakeX"
    return "Zen" if vendor == "AuthenticAMD" else "Haswell"


def peer_lanes(peer: str, context: Mapping[str, str]) -> Optional[int]:
    """As far as the library says it."""
    if peer == "pytorch":
        said = context.get("torch_cpu_capability", "")
        return next((lanes for name, lanes in CAPABILITIES.items() if said.startswith(name)), None)
    if peer == "numpy" and context.get("openblas_core"):
        return min(map(core_lanes, context["openblas_core"].split(", ")))
    return None


def fallback_lanes(peer: str, context: Mapping[str, str], allowed: Optional[int]) -> dict[str, int]:
    """What its results bear if its kernels have fewer lanes than the run allows."""
    lanes = peer_lanes(peer, context)
    return {"fallback_lanes": lanes} if lanes and allowed and lanes < allowed else {}
