#!/usr/bin/env python3
"""How fast Lockstep's Python package is, beside what people use in its place.

    speed.py                              all that are installed, with one thread and with two
    speed.py --data FOLDER_OR_FILE        with JapaneseVowels_TRAIN.ts too
    speed.py --peers "torch loop,keras" --threads 1 --rounds 3 --json results.json

Every peer fits the same network from the same first weights, and its losses are compared before
its time counts. Each runs in a process of its own, all in turn in every round; the table has the
medians. Latencies are of lockstep alone: one sequence, one timestep.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import Any, Callable

import numpy as np

from peers import HAS_OWN_WEIGHTS, PEERS, TAKES_PADDING_FOR_DATA
from problems import Problem, problems

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MOST_DIFFERENCE = 1e-3  # of losses, relative
GOALS = {"predict_proba of one sequence": 20.0, "Stream.feed of one timestep": 2.0}


# In a process of its own


def fit_times(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    np.random.permutation = np.arange  # the order of the data, as all others have it
    results = {}
    for problem in problems(options.data, options.epochs):
        fit = PEERS[peer]
        losses = [float(loss) for loss in fit(problem)]  # and warms up
        seconds = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            fit(problem)
            seconds.append(time.perf_counter() - start)
        results[problem.name] = {"seconds": seconds, "losses": losses}
    return results


def microseconds(call: Callable[[], Any], calls: int = 2000, batches: int = 15) -> float:
    """The median batch's mean."""
    found = []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(found)


def latencies() -> dict[str, Any]:
    import lockstep

    rng = np.random.default_rng(1)
    results = {}
    for cell, hidden, features in (("tanh", 50, 1), ("gru", 64, 16), ("lstm", 64, 16)):
        x = rng.standard_normal((8, 60, features)).astype(np.float32)
        model = lockstep.Model(
            lockstep.Dataset(x, labels=np.arange(8) % 4), cell=cell, hidden=hidden
        )
        one, step = x[:1].copy(), x[0, 0].copy()
        stream, out = lockstep.Stream(model), np.empty(4, np.float32)
        results[f"{cell} {hidden}, {features} channels, 60 timesteps"] = {
            "predict_proba of one sequence": microseconds(lambda: model.predict_proba(one)),
            "Stream.feed of one timestep": microseconds(lambda: stream.feed(step, out)),
        }
    return results


# In that which is called


def run_worker(peer: str, threads: int, options: argparse.Namespace) -> dict[str, Any] | None:
    command = [sys.executable, __file__, "--worker", peer, "--epochs", str(options.epochs)]
    command += ["--repeats", str(options.repeats)]
    command += ["--data", str(pathlib.Path(options.data).resolve())] if options.data else []
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode == 0:
        return json.loads(result.stdout.splitlines()[-1])
    reason = (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1]
    print(f"{peer}: left out: {reason}", file=sys.stderr)
    return None


def measured(threads: int, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Of each problem and peer seconds and losses."""
    peers, found = list(options.peers), {}
    for _ in range(options.rounds):
        for peer in list(peers):
            result = run_worker(peer, threads, options)
            if result is None:
                peers.remove(peer)
                continue
            for problem, row in result.items():
                known = found.setdefault(problem, {}).setdefault(peer, row | {"seconds": []})
                known["seconds"] += row["seconds"]
    return found


def agrees(peer: str, rows: dict[str, Any], problem: Problem) -> bool:
    """With the first of the same computation."""
    if peer in HAS_OWN_WEIGHTS:
        return bool(np.isfinite(rows[peer]["losses"]).all())

    def kind(name: str) -> bool:
        return problem.is_ragged and name in TAKES_PADDING_FOR_DATA

    alike = [p for p in rows if p not in HAS_OWN_WEIGHTS and kind(p) == kind(peer)]
    return np.allclose(rows[peer]["losses"], rows[alike[0]]["losses"], rtol=MOST_DIFFERENCE)


def print_table(threads: int, problem: Problem, rows: dict[str, Any]) -> bool:
    print(f"\n{problem.name}, {problem.epochs} epochs, threads: {threads}")
    all_agree = True
    first = statistics.median(rows[next(iter(rows))]["seconds"])
    for peer, row in rows.items():
        if not agrees(peer, rows, problem):
            print(f"  {peer:24} refused: its losses are others")
            all_agree = False
            continue
        seconds = statistics.median(row["seconds"])
        rate = problem.timesteps / seconds / 1e6
        print(f"  {peer:24} {seconds:9.4f} s {rate:9.3f} M timesteps/s {seconds / first:8.2f} x")
    return all_agree


def print_latencies(rows: dict[str, Any]) -> None:
    print("\nLatency, one thread")
    for model, row in rows.items():
        for what, found in row.items():
            goal = GOALS[what]
            verdict = "within" if found < goal else "above"
            print(f"  {model}: {what} {found:.2f} us, {verdict} the goal of {goal:.0f}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="JapaneseVowels_TRAIN.ts or its folder")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="of a fit in each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each peer")
    parser.add_argument("--json", help="also write what was measured to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"there is no peer {unknown[0]!r}, expected some of {', '.join(PEERS)}")
    if options.data and not pathlib.Path(options.data).exists():
        parser.error(f"--data: there is no {options.data}")
    return options


def main() -> int:
    options = parsed()
    if options.worker:
        work = latencies if options.worker == "latency" else None
        print(json.dumps(work() if work else fit_times(options.worker, options)))
        return 0
    everything: dict[str, Any] = {"fit": {}}
    all_agree = True
    for threads in options.threads:
        found = measured(threads, options)
        everything["fit"][str(threads)] = found
        for problem in problems(options.data, options.epochs):
            if problem.name in found:
                all_agree &= print_table(threads, problem, found[problem.name])
    everything["latency"] = run_worker("latency", 1, options)
    if everything["latency"]:
        print_latencies(everything["latency"])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(everything, indent=1))
    return 0 if all_agree else 1


if __name__ == "__main__":
    sys.exit(main())
