"""Starts MPI jobs for the tests. Called as TEST LOCKSTEP [NAME=LAUNCHER=PROGRAM]..."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

LOCKSTEP = sys.argv[1] if len(sys.argv) > 1 else ""
SKIPPED = 77


class Mpi:
    """An implementation of MPI with a lockstep-mpi of its own."""

    def __init__(self, text):
        self.name, self.launcher, self.program = text.split("=")

    def arguments(self, ranks, *arguments, launcher_arguments=(), shell=""):
        """`shell`: what each rank does before, with its number in $rank."""
        command = [self.launcher, "-n", str(ranks), *launcher_arguments]
        if self.is_openmpi():
            command += ["--oversubscribe", "--bind-to", "none"]
        if shell:
            number = "rank=${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"
            command += ["sh", "-c", f'{number}; {shell}; exec "$@"', "sh"]
        return [*command, self.program, *arguments]

    def is_openmpi(self):
        if self.name == "mpi":
            version = subprocess.run([self.launcher, "--version"], capture_output=True, text=True).stdout
            self.name = "openmpi" if "Open MPI" in version or "OpenRTE" in version else "other"
        return self.name == "openmpi"

    @staticmethod
    def environment(threads=1, **more):
        """Of a job: as root, and without the remote shell that a bare machine lacks."""
        return {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "OMPI_MCA_plm_rsh_agent": "sh",
            "OMPI_MCA_btl_base_warn_component_unused": "0",
            **more,
        }

    def start(self, ranks, *arguments, threads=1, environment=None, **more):
        return subprocess.Popen(
            self.arguments(ranks, *arguments, **more),
            env=self.environment(threads, **(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, ranks, *arguments, seconds=300, **more):
        job = self.start(ranks, *arguments, **more)
        try:
            out, err = job.communicate(timeout=seconds)
        finally:
            job.kill()
        return subprocess.CompletedProcess(job.args, job.returncode, out, err)


IMPLEMENTATIONS = [Mpi(text) for text in sys.argv[2:]]


def run_alone(*arguments, backend=None):
    environment = dict(os.environ)
    if backend:
        environment["LOCKSTEP_BACKEND"] = backend
    return subprocess.run(
        [LOCKSTEP, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )


def summary(result):
    """The last JSON object of a training."""
    if result.returncode != 0:
        raise AssertionError(f"{result.args}: {result.returncode}: {result.stderr}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def weights_of(result):
    return summary(result)["weights_hash"]


def fused_backends():
    backends = json.loads(run_alone("info", "--json").stdout)["backends"]
    return [b["name"] for b in backends if b["runnable"] and b["fused"]]


def scratch():
    return tempfile.TemporaryDirectory(prefix="lockstep-mpi-")


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


def ranks_of(job, program):
    """The processes of a job by rank: those that run the program, in the order of their rank."""
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                if os.fsdecode(file.read().split(b"\0")[0]) != program:
                    continue
            with open(f"/proc/{process}/environ", "rb") as file:
                variables = dict(v.split(b"=", 1) for v in file.read().split(b"\0") if b"=" in v)
        except OSError:
            continue
        if variables.get(b"LOCKSTEP_TEST_JOB") != str(job).encode():
            continue
        for rank in (b"OMPI_COMM_WORLD_RANK", b"PMI_RANK", b"SLURM_PROCID"):
            if rank in variables:
                found[int(variables[rank])] = int(process)
                break
    return found


def main():
    if not IMPLEMENTATIONS:
        print("skipped: no MPI is installed (Debian's packages: libopenmpi-dev openmpi-bin, libmpich-dev mpich)")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1], verbosity=2)
