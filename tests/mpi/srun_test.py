"""Ranks that Slurm starts: the same hash and endings as by mpirun, and a plugin that is the wrong one."""

import os
import signal
import subprocess
import sys
import unittest

import slurm
from jobs import IMPLEMENTATIONS, SKIPPED, main, ranks_of, run_alone, scratch, summary, wait_for, weights_of

TRAINING = ["train", "--dataset", "synthetic-control", "--json", "--quiet"]
PLUGINS = {"openmpi": "pmix", "mpich": "pmi2"}


def plugin_of(mpi):
    return PLUGINS["openmpi" if mpi.is_openmpi() else "mpich"]


class Srun(unittest.TestCase):
    def setUp(self):
        self.folder = scratch()
        self.addCleanup(self.folder.cleanup)
        self.jobs = 0

    def start(self, mpi, *arguments, options=("-n", "3"), plugin=None, threads="1"):
        self.jobs += 1
        self.job = f"{os.getpid()}-{self.jobs}"
        environment = mpi.environment(threads, LOCKSTEP_TEST_JOB=self.job)
        if "-N" in options:
            # Open MPI names shared memory by the host, which the nodes have in common here.
            environment["OMPI_MCA_btl"] = "tcp,self"
        if not threads:
            del environment["OMP_NUM_THREADS"]
        job = subprocess.Popen(
            ["srun", "--overcommit", f"--mpi={plugin or plugin_of(mpi)}", *options, mpi.program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(job.kill)
        return job

    def end(self, job):
        out, err = job.communicate(timeout=60)
        return subprocess.CompletedProcess(job.args, job.returncode, out, err)

    def run_ranks(self, mpi, *arguments, **more):
        return self.end(self.start(mpi, *arguments, **more))

    def test_same_hash(self):
        """And rank 0 speaks alone."""
        arguments = [*TRAINING, "--epochs", "3"]
        expected = weights_of(run_alone(*arguments))
        for mpi in IMPLEMENTATIONS:
            for nodes, ranks in ((1, 3), (2, 4)):
                with self.subTest(mpi=mpi.name, nodes=nodes, ranks=ranks):
                    result = self.run_ranks(mpi, *arguments, options=("-N", str(nodes), "-n", str(ranks)))
                    self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)
                    self.assertEqual(summary(result)["weights_hash"], expected)
                    self.assertEqual(summary(result)["ranks"], ranks)

    def test_all_ranks_have_one_exit_code(self):
        for mpi in IMPLEMENTATIONS:
            for arguments, code in ((["--validation", "0.0001"], 2), (["--epochs", "1", "--model", "/no/m"], 1)):
                with self.subTest(mpi=mpi.name, arguments=arguments):
                    result = self.run_ranks(mpi, *TRAINING, *arguments)
                    self.assertEqual(result.returncode, code, result.stderr)
                    self.assertEqual(result.stderr.count("lockstep: "), 1, result.stderr)

    def test_a_killed_rank_ends_the_job(self):
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                job, checkpoint = self.start_long(mpi, "-K")
                os.kill(ranks_of(self.job, mpi.program)[1], signal.SIGKILL)
                self.assertNotEqual(self.end(job).returncode, 0)
                wait_for(lambda: not ranks_of(self.job, mpi.program), 20)
                os.remove(checkpoint)

    def start_long(self, mpi, option):
        """A job of three ranks that train."""
        checkpoint = f"{self.folder.name}/checkpoint"
        job = self.start(mpi, *TRAINING, "--epochs", "100000", "--checkpoint", checkpoint, "--checkpoint-every",
                         "0.05s", "--model", f"{self.folder.name}/model", options=("-n", "3", option))  # fmt: skip
        wait_for(lambda: os.path.exists(checkpoint) or job.poll() is not None)
        return job, checkpoint

    def test_interrupts_end_all_in_good_order(self):
        def ctrl_c(job):
            job.send_signal(signal.SIGINT)

        def scancel(_):
            slurm.Cluster.ask("scancel", "--name=ranks")

        for mpi in IMPLEMENTATIONS:
            for option, interrupt, name in (("-X", ctrl_c, "SIGINT"), ("--job-name=ranks", scancel, "SIGTERM")):
                with self.subTest(mpi=mpi.name, signal=name):
                    job, checkpoint = self.start_long(mpi, option)
                    interrupt(job)
                    result = self.end(job)
                    self.assertIn(f"stopped by {name}", result.stderr)
                    self.assertEqual(result.returncode, 128 + signal.Signals[name])
                    self.assertIn("weights_hash", result.stdout)
                    os.remove(f"{self.folder.name}/model")
                    os.remove(checkpoint)

    def test_a_plugin_that_the_mpi_does_not_know(self):
        """Open MPI 4 says so itself."""
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                result = self.run_ranks(mpi, *TRAINING, "--epochs", "1", plugin="none")
                self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
                if not mpi.is_openmpi():
                    self.assertIn("a launcher has started 3 processes, but this one is alone", result.stderr)

    def test_ranks_keep_to_their_cpus(self):
        options = ("-n", "1", "-c", "1")
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                cpus = slurm.Cluster.ask("env", "-u", "OMP_NUM_THREADS", "srun", *options, "nproc")
                result = self.run_ranks(mpi, *TRAINING, "--epochs", "1", options=options, threads="")
                self.assertLessEqual(summary(result)["threads"], int(cpus[0]))

    def test_mpirun_in_an_allocation(self):
        """A process that it starts alone is right to be alone, whatever Slurm has started before."""
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                command = ["salloc", "-N", "2", "-n", "2", *mpi.arguments(1, *TRAINING, "--epochs", "1")]
                result = subprocess.run(command, env=mpi.environment(), stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True, timeout=60)  # fmt: skip
                self.assertEqual(summary(result)["ranks"], 1)


def with_cluster():
    if not IMPLEMENTATIONS:
        main()
    missing = slurm.missing()
    if missing:
        print(f"skipped: {', '.join(missing)} not found (Debian's packages: slurmctld slurmd slurm-client)")
        return SKIPPED
    with scratch() as folder:
        try:
            cluster = slurm.Cluster(folder)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            print(f"skipped: Slurm's daemons do not run here: {error}")
            return SKIPPED
        try:
            plugins = slurm.Cluster.ask("srun", "--mpi=list")
            IMPLEMENTATIONS[:] = [mpi for mpi in IMPLEMENTATIONS if plugin_of(mpi) in plugins]
            if not IMPLEMENTATIONS:
                print("skipped: this Slurm has no plugin for an MPI that is installed")
                return SKIPPED
            main()
        finally:
            cluster.close()


if __name__ == "__main__":
    sys.exit(with_cluster())
