#!/usr/bin/env python3
"""bench/python_peers.py: which peer gets which cases, and that each agrees with the definition of a
network, and is refused where it does not. Peers that are not installed are left out.

    bench_peers_test.py [-v]
"""

from __future__ import annotations

import importlib.util
import sys
import unittest
from pathlib import Path
from typing import Callable

BENCH = Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))
sys.dont_write_bytecode = True

import networks  # noqa: E402
from networks import GATES, Problem, Shape, verify  # noqa: E402
from peer_worker import Case, limit_torch_threads, model_of  # noqa: E402
from python_peers import PEERS, best_settings, find_cases, with_fallbacks  # noqa: E402

SHAPES = ["3x7x2x5", "4x8x2x5-ragged", "3x6x2x2x4", "3x6x2x4-bidirectional",
          "4x8x2x3x4-bidirectional-ragged"]


def cases() -> list[Case]:
    names = [f"{cell}_{part}/any/{shape}/1" for cell in GATES for part in ["forward", "train"]
             for shape in SHAPES]
    return find_cases(names, lambda name: True)


def is_installed(peer: str) -> bool:
    return all(importlib.util.find_spec(module) for module in PEERS[peer])


class Cases(unittest.TestCase):
    def peers_of(self, name: str) -> list[str]:
        return [case.peer for case in find_cases([name], lambda name: True)]

    def test_each_peer_gets_what_it_does(self) -> None:
        for name, peers in [("rnn_forward/a/1x2x3x4/1", ["pytorch", "onnxruntime", "numpy"]),
                            ("rnn_train/a/b/1x2x3x4-ragged/1/real_time", ["pytorch", "numpy"]),
                            ("lstm_forward/a/1x2x3x4/2", ["pytorch", "onnxruntime"]),
                            ("gru_train/a/1x2x3x4x5-bidirectional/1", ["pytorch"]),
                            ("rnn_train/a/1x2x3x4x5/1", ["pytorch"]),
                            ("rnn_train/a/1x2x3x4-denormal/1", []),
                            ("lstm_backward/a/1x2x3x4/1", []),
                            ("rnn_fit/a/set/1", []), ("gemm/a/1x2x3/1", [])]:
            self.assertEqual(self.peers_of(name), peers, name)

    def test_shapes_and_their_work(self) -> None:
        shape = Shape.parse("lstm", "32x28x28x2x128-bidirectional")
        self.assertEqual(shape, Shape("lstm", 32, 28, 28, 128, 2, bidirectional=True))
        self.assertEqual(shape.work_per_timestep, 2 * 4 * 128 * (28 + 128 + 256 + 128))
        self.assertEqual(Shape.parse("gru", "6x5x2x3-ragged").lengths(), [1, 2, 3, 4, 4, 5])
        case = Case("gru_train", "pytorch", "1x2x3x4", 1)
        self.assertEqual(case.flops, 3 * 2 * 2 * 3 * 4 * (3 + 4))


class Vectors(unittest.TestCase):
    AVX512 = {"flags": "fpu sse2 fma avx2 avx512f", "vendor_id": "GenuineIntel"}
    AVX2 = {"flags": "fpu sse2 fma avx2", "vendor_id": "AuthenticAMD"}

    def test_openblas_is_set_to_a_wider_core(self) -> None:
        for own, cpu, core in [(["Prescott"], self.AVX512, "SkylakeX"),
                               (["Haswell", "SkylakeX"], self.AVX512, "SkylakeX"),
                               (["SapphireRapids"], self.AVX512, None), ([], self.AVX512, None),
                               (["Prescott"], self.AVX2, "Zen"), (["SkylakeX"], self.AVX2, None),
                               (["Prescott"], {**self.AVX2, "vendor_id": "GenuineIntel"}, "Haswell"),
                               (["ARMV8"], {"Features": "asimd"}, None)]:
            self.assertEqual(best_settings(own, cpu).get("OPENBLAS_CORETYPE"), core, (own, cpu))

    def test_fallbacks_are_marked(self) -> None:
        def lanes(isa: str, cpu: dict, **context: str) -> list[object]:
            entries = [{"name": f"rnn_train/{peer}/1x2x3x4/1"} for peer in PEERS]
            return [entry.get("fallback_lanes")
                    for entry in with_fallbacks(entries, context, isa, cpu)]

        wide, narrow = {"torch_cpu_capability": "AVX512"}, {"torch_cpu_capability": "AVX2"}
        self.assertEqual(lanes("best", self.AVX512, **narrow, openblas_core="Prescott"),
                         [8, None, 4])
        self.assertEqual(lanes("best", self.AVX512, **wide, openblas_core="SkylakeX"), [None] * 3)
        self.assertEqual(lanes("avx2", self.AVX512, **narrow, openblas_core="Haswell, Prescott"),
                         [None, None, 4])
        self.assertEqual(lanes("best", self.AVX512), [None] * 3)


@unittest.skipIf(networks.np is None, "there is no NumPy")
class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        limit_torch_threads(1)

    def check(self, judge: Callable[[Case, Problem], None]) -> None:
        for case in cases():
            if is_installed(case.peer):
                with self.subTest(case.name):
                    judge(case, Problem.make(case.shape))

    def accept(self, case: Case, problem: Problem) -> None:
        self.assertIsNone(verify(model_of(case, problem), problem, case.trains))

    def test_are_those_of_the_definition(self) -> None:
        self.check(self.accept)

    def test_of_another_network_are_refused(self) -> None:
        def judge(case: Case, problem: Problem) -> None:
            other = Problem.make(case.shape)
            other.weights["bias_ih_l0" + "_reverse" * case.shape.bidirectional] += 1
            self.assertIsNotNone(verify(model_of(case, other), problem, case.trains))
        self.check(judge)

    def test_with_a_wrong_gradient_are_refused(self) -> None:
        def judge(case: Case, problem: Problem) -> None:
            if not case.trains:
                return
            model = model_of(case, problem)
            found = model.gradients()
            for key in found:
                wrong = {**found, key: found[key] * 1.01}
                model.gradients = lambda: wrong
                self.assertIn(key, verify(model, problem, True) or "")
        self.check(judge)

    def test_do_not_come_from_the_padding(self) -> None:
        def judge(case: Case, problem: Problem) -> None:
            for i, length in enumerate(case.shape.lengths()):
                problem.x[length:, i] = 7
            self.accept(case, problem)
        self.check(judge)


if __name__ == "__main__":
    unittest.main()
