"""Ranks on hosts of their own, 1 ms there and back at 1 Gb/s: the same hash, also after a cut link."""

import os
import shlex
import subprocess
import sys
import time
import unittest

import hosts as network
from jobs import IMPLEMENTATIONS, SKIPPED, main, run_alone, scratch, weights_of

TRAINING = ["--dataset", "synthetic-control", "--cell", "gru", "--hidden", "48", "--batch-size", "64",
            "--clip-norm", "0.1", "--json", "--quiet"]  # fmt: skip


def launcher_arguments(mpi, hosts, ranks):
    if mpi.name == "mpich":
        return ["-launcher", "ssh", "-launcher-exec", hosts.agent, "-hosts", hosts.names(ranks)]
    settings = {
        "plm_rsh_agent": hosts.agent,
        "pml": "ob1",
        "btl": "tcp,self",
        "btl_tcp_if_include": f"{network.NETWORK}0/24",
        "oob_tcp_if_include": f"{network.NETWORK}0/24",
    }
    return ["--host", hosts.names(ranks), *(word for s in settings.items() for word in ("--mca", *s))]


class OnHosts(unittest.TestCase):
    def setUp(self):
        self.folder = scratch()
        self.addCleanup(self.folder.cleanup)

    def hosts(self, count):
        hosts = network.Hosts(count, self.folder.name)
        self.addCleanup(hosts.close)
        return hosts

    def start(self, mpi, hosts, ranks, *arguments):
        command = mpi.arguments(ranks, *arguments, launcher_arguments=launcher_arguments(mpi, hosts, ranks))
        environment = mpi.environment(UCX_TLS="tcp,self", UCX_NET_DEVICES=network.DEVICE, LOCKSTEP_TEST_JOB=self.folder.name)
        return subprocess.Popen(
            hosts.inside(1, shlex.join(command)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ranks_alive(self, mpi):
        """The processes of this test's jobs that train."""
        count = 0
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/cmdline", "rb") as command:
                    is_rank = command.read().split(b"\0")[0] == mpi.program.encode()
                with open(f"/proc/{process}/environ", "rb") as variables:
                    is_own = f"LOCKSTEP_TEST_JOB={self.folder.name}".encode() in variables.read()
            except OSError:
                continue
            count += is_rank and is_own
        return count

    def test_same_hash(self):
        arguments = ["train", *TRAINING, "--epochs", "8"]
        expected = weights_of(run_alone(*arguments))
        for mpi in IMPLEMENTATIONS:
            for count, ranks in ((2, 2), (3, 3), (2, 4)):
                with self.subTest(mpi=mpi.name, hosts=count, ranks=ranks):
                    hosts = self.hosts(count)
                    job = self.start(mpi, hosts, ranks, *arguments)
                    out, err = job.communicate(timeout=120)
                    result = subprocess.CompletedProcess(job.args, job.returncode, out, err)
                    self.assertEqual(weights_of(result), expected)
                    # 32 updates of about 8000 weights went over the link, once each way at least.
                    self.assertGreater(hosts.bytes_relayed, 32 * 8000 * 4)
                    hosts.close()

    def test_a_cut_link(self):
        """The job ends soon after the time that ranks wait, and fewer ranks resume."""
        seconds = 6
        arguments = ["train", *TRAINING, "--epochs", "60"]
        expected = weights_of(run_alone(*arguments))
        for mpi in IMPLEMENTATIONS:
            with self.subTest(mpi=mpi.name):
                checkpoint = f"{self.folder.name}/checkpoint-{mpi.name}"
                hosts = self.hosts(3)
                job = self.start(mpi, hosts, 3, *arguments, "--rank-timeout", str(seconds),
                                 "--checkpoint", checkpoint, "--checkpoint-every", "0.2s")  # fmt: skip
                deadline = time.monotonic() + 60
                while not os.path.exists(checkpoint) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(self.ranks_alive(mpi), 3, job.poll())
                hosts.cut(3)
                begin = time.monotonic()
                while self.ranks_alive(mpi) > 0:
                    self.assertLess(time.monotonic() - begin, seconds + 20)
                    time.sleep(0.05)
                hosts.close()
                _, err = job.communicate(timeout=60)
                self.assertIn(f"has not answered for {seconds} seconds", err)
                result = mpi.run(2, "train", "--dataset", "synthetic-control", "--resume", checkpoint,
                                 "--json", "--quiet")  # fmt: skip
                self.assertEqual(weights_of(result), expected)


if __name__ == "__main__":
    reason = network.why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    main()
