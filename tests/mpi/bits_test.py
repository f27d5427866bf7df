"""One hash for any number of ranks and threads, either MPI, every fused backend."""

import itertools
import json
import unittest

from jobs import IMPLEMENTATIONS, fused_backends, main, run_alone, scratch, summary, weights_of

EPOCHS = ["--epochs", "2", "--json", "--quiet"]
TRAININGS = {
    "vanilla": ["--cell", "tanh", "--optimizer", "sgd"],
    "gru": ["--cell", "gru", "--optimizer", "adamw", "--weight-decay", "0.02", "--clip-norm", "0.05"],
    # Two layers that are large enough to be exchanged one after the other.
    "lstm": ["--cell", "lstm", "--layers", "2", "--hidden", "180", "--dropout", "0.2", "--ema", "0.9",
             "--validation", "0.2"],  # fmt: skip
}


def ragged_data(path):
    """Sequences of 1 to 37 timesteps of two channels, of three classes."""
    with open(path, "w") as file:
        file.write("@problemName ragged\n@univariate false\n@classLabel true a b c\n@data\n")
        for i in range(130):
            length = 1 + (i * 7 + 3) % 37
            channels = [
                ",".join(f"{((i * 13 + t * 5 + c * 3) % 17 - 8 + i % 3 * c) / 4:g}" for t in range(length))
                for c in range(2)
            ]
            file.write(":".join([*channels, "abc"[i % 3]]) + "\n")


class Bits(unittest.TestCase):
    def setUp(self):
        self.folder = scratch()
        self.addCleanup(self.folder.cleanup)
        self.data = f"{self.folder.name}/ragged.ts"
        ragged_data(self.data)

    def arguments(self, training):
        return ["train", self.data, "--batch-size", "70", *EPOCHS, *TRAININGS[training]]

    def test_ranks_and_threads(self):
        for training in TRAININGS:
            expected = weights_of(run_alone(*self.arguments(training)))
            for mpi, ranks, threads in itertools.product(IMPLEMENTATIONS, (1, 2, 3, 4, 8), (1, 2)):
                with self.subTest(training=training, mpi=mpi.name, ranks=ranks, threads=threads):
                    result = summary(mpi.run(ranks, *self.arguments(training), "--threads", str(threads)))
                    self.assertEqual(result["weights_hash"], expected)
                    self.assertEqual((result["ranks"], result["threads"]), (ranks, threads))

    def test_backends(self):
        expected = weights_of(run_alone(*self.arguments("gru")))
        for mpi, backend in itertools.product(IMPLEMENTATIONS, fused_backends()):
            with self.subTest(mpi=mpi.name, backend=backend):
                result = mpi.run(3, *self.arguments("gru"), environment={"LOCKSTEP_BACKEND": backend})
                self.assertEqual(weights_of(result), expected)

    def test_ranks_of_different_backends(self):
        """CPUs of a job may differ."""
        expected = weights_of(run_alone(*self.arguments("lstm")))
        for mpi, (first, second) in itertools.product(IMPLEMENTATIONS, itertools.pairwise(fused_backends())):
            with self.subTest(mpi=mpi.name, first=first, second=second):
                shell = f"if [ $((rank % 2)) = 0 ]; then LOCKSTEP_BACKEND={first}; else LOCKSTEP_BACKEND={second}; fi"
                result = mpi.run(3, *self.arguments("lstm"), shell=f"{shell}; export LOCKSTEP_BACKEND")
                self.assertEqual(weights_of(result), expected)

    def test_the_demo(self):
        """The hash that the README shows."""
        for mpi in IMPLEMENTATIONS:
            result = mpi.run(2, "train", "--dataset", "synthetic-control", "--json", "--quiet")
            self.assertEqual(weights_of(result), "db4b39b8a2d1ab77")

    def test_the_link_is_measured(self):
        for mpi in IMPLEMENTATIONS:
            arguments = ["info", "--ranks", "2", "--hidden", "16", "--length", "20", "--json"]
            link = json.loads(mpi.run(3, *arguments).stdout)
            self.assertGreater(link["latency"], 0)
            self.assertNotEqual(link["bandwidth"], 1.1e9)
            link = json.loads(mpi.run(2, *arguments, "--latency", "1e-3").stdout)
            self.assertEqual((link["latency"], link["bandwidth"]), (1e-3, 1.1e9))

    def test_predictions_and_measurements(self):
        model = f"{self.folder.name}/model.safetensors"
        run_alone(*self.arguments("lstm"), "--model", model)
        for verb in ("predict", "evaluate"):
            expected = run_alone(verb, model, self.data).stdout
            for mpi in IMPLEMENTATIONS:
                result = mpi.run(3, verb, model, self.data)
                self.assertEqual((result.returncode, result.stdout), (0, expected), result.stderr)

    def test_a_sweep(self):
        arguments = ["sweep", self.data, "--epochs", "2", "--hidden", "8", "--seeds", "5", "--folds", "2", "--json"]
        results = f"{self.folder.name}/results"

        def jobs(path):
            with open(path) as file:
                lines = [line for line in file if "weights_hash" in line]
            return sorted(line[line.index('"weights_hash"') :].split(",")[0] for line in lines)

        run_alone(*arguments, "--results", f"{results}.jsonl")
        expected = jobs(f"{results}.jsonl")
        self.assertEqual(len(expected), 10)
        for mpi in IMPLEMENTATIONS:
            result = mpi.run(3, *arguments, "--results", f"{results}-{mpi.name}.jsonl")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(jobs(f"{results}-{mpi.name}.jsonl"), expected)


if __name__ == "__main__":
    main()
