"""A data set of four times the memory of a rank trains, from a file that all ranks read."""

import os
import shutil
import sys
import tempfile
import time
import unittest

from jobs import IMPLEMENTATIONS, SKIPPED, main, run_alone, scratch, weights_of

# Beside its data a rank has the program, MPI and its work memory.
LIMIT = 128 << 20
SEQUENCES, TIMESTEPS, CHANNELS = 2048, 4096, 16


def write_npy(path, kind, shape, blocks):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        for block in blocks:
            file.write(block)


def memory_group():
    """The folder of a control group of its own, or an empty text; of version 1 or 2."""
    for root, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        folder = f"{root}/lockstep-{os.getpid()}"
        try:
            os.mkdir(folder)
            with open(f"{folder}/{limit}", "w") as file:
                file.write(str(LIMIT))
            return folder
        except OSError:
            if os.path.isdir(folder):
                os.rmdir(folder)
    return ""


def remove(group):
    """Once the last process is gone."""
    for _ in range(50):
        try:
            return os.rmdir(group)
        except OSError:
            time.sleep(0.1)


class Memory(unittest.TestCase):
    def test_four_times_the_memory(self):
        with scratch() as folder:
            data = f"{folder}/x.npy"
            shape = (SEQUENCES, TIMESTEPS, CHANNELS)
            size = SEQUENCES * TIMESTEPS * CHANNELS * 4
            self.assertGreaterEqual(size, 4 * LIMIT)
            noise = os.urandom(TIMESTEPS * CHANNELS)
            # Of finite numbers: bytes of 1/4 to 1/2, which are between 0.5 and 2.
            base = b"".join(bytes((b, b, b & 0x7F, 0x3F)) for b in noise)
            write_npy(data, "<f4", shape, (base[i % 7 * 4 :] + base[: i % 7 * 4] for i in range(SEQUENCES)))
            labels = b"".join((i % 7 % 2).to_bytes(8, "little") for i in range(SEQUENCES))
            write_npy(f"{folder}/y.npy", "<i8", (SEQUENCES,), [labels])
            arguments = ["train", data, "--y", "y", "--cell", "tanh", "--hidden", "8", "--epochs", "1", "--truncate", "16",
                         "--batch-size", "256", "--json", "--quiet"]  # fmt: skip
            expected = weights_of(run_alone(*arguments))
            for mpi in IMPLEMENTATIONS:
                with self.subTest(mpi=mpi.name):
                    self.check(mpi, arguments, expected)

    def check(self, mpi, arguments, expected):
        group = memory_group()
        # The group of the job, of two ranks, has the memory of one: each of them has less.
        limit = "echo $$ > " + group + "/cgroup.procs && " if group else f"ulimit -d {LIMIT // 1024} && "
        command = mpi.program
        mpi.program = "sh"
        try:
            result = mpi.run(2, "-c", limit + 'exec "$@"', "sh", command, *arguments)
        finally:
            mpi.program = command
            if group:
                remove(group)
        self.assertEqual(weights_of(result), expected)


if __name__ == "__main__":
    if shutil.disk_usage(tempfile.gettempdir()).free < 8 * LIMIT:
        print("skipped: there is no room for the data set")
        sys.exit(SKIPPED)
    main()
