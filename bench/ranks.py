"""What ranks cost: R ranks of one thread beside one process of R threads, on this machine, and beside
what the model of `lockstep-mpi info --ranks R` says of them.

Each round trains both in turn on random data; a ratio is the median of the rounds' ratios of seconds for
a training step. Both end with the same weights, or the figure is refused.
"""

import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# Sequences, timesteps, channels, units; cell; sequences of a leaf, where the default leaves one leaf.
SHAPES = {
    "64x100x64x256": (64, 100, 64, 256, "tanh", 0),
    "128x50x256x512": (128, 50, 256, 512, "tanh", 0),
    "64x25x512x1024": (64, 25, 512, 1024, "tanh", 32),
    "128x50x256x512 lstm": (128, 50, 256, 512, "lstm", 0),
    "64x25x512x1024 lstm": (64, 25, 512, 1024, "lstm", 32),
}
# Open MPI asks for this consent to run as root.
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
STEPS = 3  # of an epoch
EPOCHS = 4


def write_npy(path: Path, kind: str, shape: tuple[int, ...], values: bytes) -> None:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)


def write_data(folder: Path, shape: tuple[int, int, int]) -> Path:
    sequences, timesteps, channels = shape
    draw = random.Random(1)
    block = [draw.gauss(0, 1) for _ in range(10007)]
    count = sequences * timesteps * channels
    values = struct.pack(f"<{len(block)}f", *block) * (count // len(block) + 1)
    write_npy(folder / "x.npy", "<f4", shape, values[: 4 * count])
    labels = [i % 10 for i in range(sequences)]
    write_npy(folder / "y.npy", "<i8", (sequences,), struct.pack(f"<{sequences}q", *labels))
    return folder / "x.npy"


def seconds_and_hash(command: list[str], threads: int) -> tuple[float, str]:
    """Of a step, the first epoch left out, and of the weights."""
    environment = {**os.environ, **AS_ROOT, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"ranks.py: {' '.join(command)}:\n{done.stderr}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    epochs = [line["seconds"] for line in lines if "epoch" in line][1:]
    return statistics.median(epochs) / STEPS, lines[-1]["weights_hash"]


def measure(name: str, options: argparse.Namespace, folder: Path) -> str:
    sequences, timesteps, channels, hidden, cell, leaf_rows = SHAPES[name]
    data = write_data(folder, (sequences * STEPS, timesteps, channels))
    sizes = ["--cell", cell, "--hidden", str(hidden), "--batch-size", str(sequences), "--leaf-rows", str(leaf_rows)]
    training = ["train", str(data), "--y", "y", "--epochs", str(EPOCHS), "--normalize", "none", "--json", *sizes]
    alone = [options.lockstep, *training]
    together = [*options.launcher.split(), "-n", str(options.ranks), options.lockstep_mpi, *training]
    model = [*options.launcher.split(), "-n", str(options.ranks), options.lockstep_mpi, "info", "--ranks",
             str(options.ranks), "--features", str(channels), "--length", str(timesteps), "--classes", "10",
             "--threads", "1", "--json", *sizes]  # fmt: skip
    figures = []
    for _ in range(options.rounds):
        by_threads, expected = seconds_and_hash(alone, options.ranks)
        by_ranks, found = seconds_and_hash(together, 1)
        if found != expected:
            raise SystemExit(f"ranks.py: {name}: the ranks end with the weights {found}, not {expected}")
        figures.append((by_threads, by_ranks))
    ratios = sorted(ranks / threads for threads, ranks in figures)
    by_threads, by_ranks = (statistics.median(column) for column in zip(*figures))
    out = subprocess.run(model, env={**os.environ, **AS_ROOT}, check=True, capture_output=True, text=True).stdout
    predicted = json.loads(out)["ranks"][-1]["seconds"]
    return (
        f"{name:<22}{1e3 * by_threads:12.2f}{1e3 * by_ranks:12.2f}"
        f"{statistics.median(ratios):9.3f}   {ratios[0]:.3f} to {ratios[-1]:.3f}{1e3 * predicted:12.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--launcher", default="mpirun", help="and its options, as one argument")
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES))
    options = parser.parse_args()
    unknown = [shape for shape in options.shapes if shape not in SHAPES]
    if unknown:
        parser.error(f"unknown shape '{unknown[0]}', expected one of {', '.join(SHAPES)}")
    options.lockstep = str(options.build / "rnn/command/lockstep")
    options.lockstep_mpi = str(options.build / "rnn/mpi/lockstep-mpi")
    for program in (options.lockstep, options.lockstep_mpi):
        if not os.access(program, os.X_OK):
            raise SystemExit(f"ranks.py: there is no '{program}'; is MPI installed?")
    print(f"{'ms of a step':<22}{f'{options.ranks} threads':>12}{f'{options.ranks} ranks':>12}{'ratio':>9}   {'range':<14}{'model':>12}")
    for name in options.shapes or SHAPES:
        with tempfile.TemporaryDirectory(prefix="lockstep-ranks-") as folder:
            print(measure(name, options, Path(folder)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
