#!/usr/bin/env python3
"""bench/run.py with programs that only pretend to measure: what is reported when one of them fails.

    bench_run_test.py [-v]
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent / "bench"

# Both stand for programs that write the JSON of one run. What happens beside that is said by the
# environment: FAKE_OURS or FAKE_PEERS is, for a round, a status, "hang", "broken" or "silent".
FAKE = '''#!{python}
import json, os, re, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)

def value(flag):
    found = [a[len(flag) + 1:] for a in sys.argv if a.startswith(flag + "=")]
    return found[0] if found else sys.argv[sys.argv.index(flag) + 1]

def act(plan, path, name):
    number = re.search(r"-(\\d+)\\.json$", path).group(1)
    what = json.loads(plan).get(number, 0)
    with open(os.environ["FAKE_LOG"], "a") as log:
        print(json.dumps(sys.argv), file=log)
    if what == "hang":
        open(path, "w").write('{{"benchmarks": [')
        open(os.environ["FAKE_LOG"] + ".hangs", "w").close()
        time.sleep(60)
    if what == "broken":
        open(path, "w").write('{{"benchmarks": [')
        os.abort()
    if what == "silent":
        sys.exit(1)
    runs = [dict(name=name, run_type="iteration", real_time=float(i), time_unit="ms")
            for i in (1, 2, 3)]
    open(path, "w").write(json.dumps(dict(context=dict(isa="best", date="2026-01-02"), benchmarks=runs)))
    sys.exit(what)
'''
FAKE_OURS = FAKE + '''
if "--benchmark_list_tests=true" in sys.argv:
    print("a/list")
    sys.exit(0)
act(os.environ.get("FAKE_OURS", "{{}}"), value("--benchmark_out"),
    "rnn_train/highway/avx3/1x2x3x4/1/real_time")
'''
FAKE_INTERPRETER = FAKE + '''
if sys.argv[1] == "-c":
    sys.exit(0)
act(os.environ.get("FAKE_PEERS", "{{}}"), value("--out"), "rnn_train/numpy/1x2x3x4/1")
'''


class RunTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name)
        self.results = self.build / "results"
        self.markdown = self.build / "table.md"
        self.log = self.build / "log"
        (self.build / "bench").mkdir()
        self.write_program(self.build / "bench" / "lockstep_bench", FAKE_OURS)
        self.write_program(self.build / "python", FAKE_INTERPRETER)

    def write_program(self, path: Path, text: str) -> None:
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)

    def start(self, *arguments: str, ours: object = None,
              peers: object = None) -> subprocess.Popen:
        environment = {**os.environ, "PYTHON": str(self.build / "python"),
                       "FAKE_LOG": str(self.log), "FAKE_OURS": json.dumps(ours or {}),
                       "FAKE_PEERS": json.dumps(peers or {})}
        return subprocess.Popen(
            [sys.executable, str(BENCH / "run.py"), "--build", str(self.build), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            start_new_session=True)

    def finish(self, process: subprocess.Popen, status: int) -> tuple[str, str]:
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, status, out + err)
        self.assertNotIn("Traceback", err)
        return out, err

    def run_bench(self, *arguments: str, status: int = 0, ours: object = None,
                  peers: object = None) -> tuple[str, str]:
        return self.finish(self.start(*arguments, ours=ours, peers=peers), status)

    def commands(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def reported(self, out: str) -> list[str]:
        """The names of the files that the table was made of."""
        return re.findall(r"\S+/([^/\s]+\.json)", out[out.index("\nresults:"):])


class Rounds(RunTest):
    def test_all_well(self) -> None:
        out, _ = self.run_bench("--rounds", "2", "--markdown", str(self.markdown))
        self.assertEqual(self.reported(out), ["lockstep-best-1.json", "python-best-1.json",
                                              "lockstep-best-2.json", "python-best-2.json"])
        self.assertIn("1x2x3x4", out)
        self.assertIn("| 1x2x3x4 |", self.markdown.read_text())

    def test_without_peers(self) -> None:
        out, _ = self.run_bench("--no-peers")
        self.assertEqual(self.reported(out), ["lockstep-best-1.json"])
        self.assertIn("--no-peers", self.commands()[0])

    def test_listing_measures_nothing(self) -> None:
        self.results.mkdir()
        earlier = self.results / "lockstep-best-1.json"
        earlier.write_text("earlier")
        out, _ = self.run_bench("--benchmark_list_tests=true")
        self.assertEqual((out, earlier.read_text()), ("a/list\n", "earlier"))

    def test_older_results_are_removed(self) -> None:
        self.results.mkdir()
        stale = [self.results / f"{name}-best-7.json" for name in ["lockstep", "python"]]
        other = self.results / "lockstep-avx2-7.json"
        for path in [*stale, other]:
            path.write_text("{}")
        self.run_bench("--no-peers")
        self.assertEqual([path.exists() for path in [*stale, other]], [False, False, True])


class Saving(RunTest):
    def saved(self, *arguments: str, status: int = 0, **acts: object) -> list[Path]:
        kept = self.build / "kept"
        self.run_bench("--save", "A machine", "--results", str(kept), *arguments, status=status,
                       **acts)
        return list(kept.glob("*.json"))

    def test_keeps_rows_commit_and_command(self) -> None:
        path, = self.saved("--markdown", str(self.markdown), "--threads=1")
        self.assertRegex(path.name, r"^a-machine-\d{4}-\d\d-\d\d\.json$")
        run = json.loads(path.read_text())["runs"][0]
        self.assertEqual(run["command"], "./dev bench --save 'A machine' --threads=1")
        self.assertEqual(run["rows"][0]["shape"], "1x2x3x4")

    def test_keeps_nothing_of_a_run_that_failed(self) -> None:
        self.assertEqual(self.saved(ours={1: "broken"}, status=2), [])


class Failures(RunTest):
    def test_peers_that_fail_leave_what_they_measured(self) -> None:
        out, err = self.run_bench(peers={1: 1}, status=1)
        self.assertEqual(self.reported(out), ["lockstep-best-1.json", "python-best-1.json"])
        self.assertIn("the Python peers failed in round 1", err)
        self.assertRegex(out, "1x2x3x4.*numpy")

    def test_peers_without_results(self) -> None:
        out, err = self.run_bench("--rounds", "2", peers={1: "silent"}, status=1)
        self.assertEqual(self.reported(out), ["lockstep-best-1.json", "lockstep-best-2.json",
                                              "python-best-2.json"])
        self.assertIn("going on without", err)

    def test_ours_in_a_later_round(self) -> None:
        out, err = self.run_bench("--rounds", "3", "--markdown", str(self.markdown),
                                  ours={2: "broken"}, status=2)
        self.assertEqual(self.reported(out), ["lockstep-best-1.json", "python-best-1.json"])
        self.assertIn("was ended by SIGABRT in round 2", err)
        self.assertIn("| 1x2x3x4 |", self.markdown.read_text())

    def test_ours_at_once(self) -> None:
        out, err = self.run_bench(ours={1: "silent"}, status=2)
        self.assertEqual(out, "")
        self.assertIn("nothing was measured", err)

    def test_interruption(self) -> None:
        for ours, peers, expected in [
                ({2: "hang"}, {}, ["lockstep-best-1.json", "python-best-1.json"]),
                ({}, {1: "hang"}, ["lockstep-best-1.json"])]:
            process = self.start("--rounds", "2", ours=ours, peers=peers)
            sign = Path(f"{self.log}.hangs")
            deadline = time.monotonic() + 20
            while not sign.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)  # What a terminal does.
            out, err = self.finish(process, 130)
            self.assertEqual(self.reported(out), expected)
            sign.unlink()


class Usage(RunTest):
    def assert_refused(self, complaint: str, *arguments: str) -> None:
        out, err = self.run_bench(*arguments, status=2)
        self.assertEqual(out, "")
        self.assertIn(complaint, err)
        self.assertFalse(self.log.exists(), "something was measured")

    def test_missing_program(self) -> None:
        program = self.build / "bench" / "lockstep_bench"
        program.unlink()
        self.assert_refused(f"there is no program {program}")

    def test_unwritable_markdown(self) -> None:
        self.assert_refused("cannot write", "--markdown", str(self.build))
        self.assert_refused("cannot write", "--markdown", str(self.build / "none" / "a.md"))

    def test_a_trial_leaves_no_file(self) -> None:
        self.run_bench("--markdown", str(self.markdown), ours={1: "silent"}, status=2)
        self.assertFalse(self.markdown.exists())

    def test_rounds(self) -> None:
        for rounds in ["0", "-1", "many"]:
            self.assert_refused("is not a number of rounds", f"--rounds={rounds}")

    def test_output_of_ones_own(self) -> None:
        self.assert_refused("cannot be had", "--benchmark_out=a.json")


class Selection(RunTest):
    def peers_command(self, *arguments: str) -> list[str]:
        self.run_bench(*arguments)
        return self.commands()[1]

    def test_is_handed_to_the_python_peers(self) -> None:
        command = self.peers_command("--full", "--threads", "1", "2", "--isa", "avx2",
                                     "--benchmark_filter=-gemm", "--benchmark_repetitions=7",
                                     "--benchmark_min_time=0.25s")
        for argument in ["--full", "--filter=-gemm", "--repetitions=7", "--min-time=0.25"]:
            self.assertIn(argument, command)
        at = command.index("--threads")
        self.assertEqual(command[at:at + 3], ["--threads", "1", "2"])
        self.assertEqual(command[command.index("--isa") + 1], "avx2")

    def test_iterations_are_not_a_time(self) -> None:
        command = self.peers_command("--benchmark_min_time=10x", "--threads=1")
        self.assertNotIn("--min-time", " ".join(command))
        self.assertIn("--threads=1", command)


class PeersFilter(unittest.TestCase):
    """The meaning of python_peers.py's --filter, which is that of --benchmark_filter."""

    def selected(self, text: str, name: str) -> bool:
        source = ("import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True; "
                  "import python_peers as p; print(len(p.find_cases([sys.argv[3]], "
                  "p.name_filter(sys.argv[2]))))")
        done = subprocess.run([sys.executable, "-c", source, str(BENCH), text, name], text=True,
                              stdout=subprocess.PIPE, check=True)
        return int(done.stdout) > 0

    def test_whole_names_and_negation(self) -> None:
        listed = "rnn_train/highway/avx3/1x2x3x4/1/real_time"
        for text, selected in [("", True), ("all", True), ("rnn_train/.*/1/real_time$", True),
                               ("/1$", False), ("-rnn", False), ("-gemm", True),
                               ("highway", False)]:
            self.assertEqual(self.selected(text, listed), selected, text)


if __name__ == "__main__":
    unittest.main()
