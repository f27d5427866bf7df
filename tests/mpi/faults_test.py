"""Ranks that die, disagree or do not answer: the job ends soon, and can be resumed by other numbers."""

import json
import os
import random
import signal
import subprocess
import time
import unittest

from jobs import IMPLEMENTATIONS, main, ranks_of, run_alone, scratch, wait_for, weights_of

COMMON = ["--dataset", "synthetic-control", "--cell", "lstm", "--batch-size", "64",
          "--optimizer", "adamw", "--ema", "0.9", "--json"]  # fmt: skip
TRAINING = [*COMMON, "--hidden", "32"]
# Two layers that are large enough to be exchanged one after the other.
LARGER = [*COMMON, "--hidden", "130", "--layers", "2"]
EPOCHS = 40


class Faults(unittest.TestCase):
    def setUp(self):
        self.folder = scratch()
        self.addCleanup(self.folder.cleanup)
        self.checkpoint = f"{self.folder.name}/checkpoint"
        self.jobs = 0

    def start(self, mpi, ranks, *arguments):
        self.jobs += 1
        self.job = f"{os.getpid()}-{self.jobs}"
        job = mpi.start(ranks, *arguments, environment={"LOCKSTEP_TEST_JOB": self.job})
        self.addCleanup(job.kill)
        return job

    def assert_all_gone(self, mpi):
        wait_for(lambda: not ranks_of(self.job, mpi.program), 20)

    def forget_checkpoints(self):
        for path in (self.checkpoint, self.checkpoint + ".previous"):
            if os.path.exists(path):
                os.remove(path)

    def checkpointed(self, *more, epochs=EPOCHS, training=TRAINING):
        return ["train", *training, "--epochs", str(epochs), "--checkpoint", self.checkpoint,
                "--checkpoint-every", "0.05s", *more]  # fmt: skip

    def test_kill_and_go_on(self):
        """A random rank is killed, 20 times in all; another number of ranks resumes."""
        expected = weights_of(run_alone("train", *TRAINING, "--epochs", str(EPOCHS), "--quiet"))
        draw = random.Random(4)
        for mpi in IMPLEMENTATIONS:
            for _ in range(20 // len(IMPLEMENTATIONS)):
                self.forget_checkpoints()
                ranks = draw.choice((2, 3, 4))
                job = self.start(mpi, ranks, *self.checkpointed())
                wait_for(lambda: os.path.exists(self.checkpoint))
                time.sleep(draw.uniform(0, 0.3))
                processes = ranks_of(self.job, mpi.program)
                victim = draw.randrange(ranks)
                if victim in processes:
                    os.kill(processes[victim], signal.SIGKILL)
                job.communicate(timeout=60)
                self.assert_all_gone(mpi)
                others = draw.choice([n for n in (1, 2, 3, 4) if n != ranks])
                with self.subTest(mpi=mpi.name, ranks=ranks, victim=victim, then=others):
                    result = mpi.run(others, "train", "--dataset", "synthetic-control", "--resume",
                                     self.checkpoint, "--json", "--quiet")  # fmt: skip
                    self.assertEqual(weights_of(result), expected)

    def test_a_rank_that_does_not_answer(self):
        """It is stopped, not killed: only the time that the others wait shows it."""
        seconds = 4
        for mpi in IMPLEMENTATIONS:
            for ranks, victim, training in ((3, 1, TRAINING), (4, 3, LARGER), (4, 0, TRAINING), (2, 0, LARGER)):
                with self.subTest(mpi=mpi.name, ranks=ranks, victim=victim):
                    self.forget_checkpoints()
                    job = self.start(mpi, ranks, *self.checkpointed(
                        "--rank-timeout", str(seconds), epochs=100000, training=training))  # fmt: skip
                    wait_for(lambda: os.path.exists(self.checkpoint))
                    process = ranks_of(self.job, mpi.program)[victim]
                    os.kill(process, signal.SIGSTOP)
                    try:
                        # A launcher may wait for the stopped process itself.
                        wait_for(lambda: set(ranks_of(self.job, mpi.program)) <= {victim}, seconds + 20)
                    finally:
                        os.kill(process, signal.SIGKILL)
                    _, err = job.communicate(timeout=60)
                    self.assertNotEqual(job.returncode, 0)
                    self.assertIn(f"rank {victim} on host", err)
                    self.assertIn(f"has not answered for {seconds} seconds", err)

    def test_an_interrupt_ends_all_in_good_order(self):
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                model = f"{self.folder.name}/model-{mpi.name}"
                self.forget_checkpoints()
                job = self.start(mpi, 2, *self.checkpointed("--model", model, epochs=100000))
                wait_for(lambda: os.path.exists(self.checkpoint))
                time.sleep(0.5)  # until the first minibatch has ended on both
                for process in ranks_of(self.job, mpi.program).values():
                    os.kill(process, signal.SIGINT)
                out, err = job.communicate(timeout=60)
                self.assertTrue(os.path.exists(model), err)
                self.assertIn("stopped by SIGINT", err)
                self.assertIn("weights_hash", out.splitlines()[-1])

    def refused(self, mpi, shell, *arguments):
        """The message of a job of two ranks of which the second does `shell` first."""
        command = mpi.arguments(2, *arguments, shell=f"if [ $rank = 1 ]; then {shell}; fi")
        result = subprocess.run(command, env=mpi.environment(), stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=60)  # fmt: skip
        self.assertNotEqual(result.returncode, 0)
        said = [line for line in result.stderr.splitlines() if line.startswith("lockstep: ")]
        failures = [line for line in said if not line.startswith("lockstep: read ")]
        self.assertEqual(len(failures), 1, result.stderr)
        return failures[0]

    def write_data(self, name, value):
        path = f"{self.folder.name}/{name}.tsv"
        with open(path, "w") as file:
            for i in range(20):
                file.write(f"{i % 2}\t{i}\t{i * value}\t{i % 5}\n")
        return path

    def test_ranks_that_do_not_fit_together(self):
        data = self.write_data("data", 1)
        other = self.write_data("other", 2)
        quick = ["train", data, "--epochs", "1", "--quiet"]
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                self.assertIn(
                    "rank 1 has another rounding, by its CPU or backend, than rank 0: 'reference'",
                    self.refused(mpi, "export LOCKSTEP_BACKEND=reference", *quick),
                )
                self.assertIn(
                    "rank 1 has another option hidden than rank 0: '32', not '64'",
                    self.refused(mpi, 'set -- "$@" --hidden 32', *quick),
                )
                self.assertIn(
                    "rank 1 has another data set",
                    self.refused(mpi, f'set -- "$1" train {other} --epochs 1 --quiet', *quick),
                )

    def test_measurements_of_different_things(self):
        data = self.write_data("data", 1)
        other = self.write_data("other", 2)
        models = [f"{self.folder.name}/{name}.safetensors" for name in "ab"]
        for seed, model in enumerate(models, 1):
            run_alone("train", data, "--epochs", "1", "--seed", str(seed), "--model", model)
        for mpi in IMPLEMENTATIONS:
            for verb in ("evaluate", "predict"):
                with self.subTest(mpi=mpi.name, verb=verb):
                    self.assertIn("rank 1 has another model", self.refused(
                        mpi, f'set -- "$1" {verb} {models[1]} {data}', verb, models[0], data))  # fmt: skip
                    self.assertIn("rank 1 has another data set", self.refused(
                        mpi, f'set -- "$1" {verb} {models[0]} {other}', verb, models[0], other.replace("other", "data")))  # fmt: skip

    def test_the_launcher_of_another_mpi(self):
        if len(IMPLEMENTATIONS) < 2:
            self.skipTest("there is one MPI")
        for mpi, other in (IMPLEMENTATIONS, IMPLEMENTATIONS[::-1]):
            with self.subTest(launcher=mpi.name, program=other.name):
                command = mpi.arguments(2, "train", *TRAINING, "--epochs", "1")
                command[command.index(mpi.program)] = other.program
                result = subprocess.run(command, env=mpi.environment(), stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True, timeout=60)  # fmt: skip
                self.assertNotEqual(result.returncode, 0)
                self.assertEqual(result.stdout, "")
                self.assertIn("a launcher has started 2 processes, but this one is alone", result.stderr)

    def test_all_ranks_have_one_exit_code(self):
        for mpi in IMPLEMENTATIONS:
            for arguments, code in ((["--hiden", "3"], 2), (["--validation", "0.0001"], 2), (["--model", "/no/m"], 1)):
                with self.subTest(mpi=mpi.name, arguments=arguments):
                    result = mpi.run(3, "train", "--dataset", "synthetic-control", *arguments, seconds=60)
                    self.assertEqual(result.returncode, code, result.stderr)

    def test_a_file_that_one_rank_lacks(self):
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                path = self.write_data("data", 1)
                message = self.refused(mpi, f"set -- \"$1\" train {path}.gone --quiet", "train", path, "--quiet")
                self.assertIn("rank 1: ", message)
                self.assertIn(".gone", message)

    def test_what_all_ranks_lack_is_said_once(self):
        for mpi in IMPLEMENTATIONS:
            for arguments in (["train", "no-such-file.ts"], ["train", "--hiden", "3"], ["train", "-"]):
                with self.subTest(mpi=mpi.name, arguments=arguments):
                    result = mpi.run(3, *arguments, seconds=60)
                    self.assertNotEqual(result.returncode, 0)
                    self.assertEqual(result.stderr.count("lockstep: "), 1, result.stderr)

    def test_the_summary_is_printed_once(self):
        for mpi in IMPLEMENTATIONS:
            result = mpi.run(3, "train", *TRAINING, "--epochs", "2")
            self.assertEqual([json.loads(line).get("epoch") for line in result.stdout.splitlines()][:2], [1, 2])
            self.assertEqual(len(result.stdout.splitlines()), 3)


if __name__ == "__main__":
    main()
