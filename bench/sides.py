"""BASE and HEAD: what the user named, as a program that can be run or measurements that were saved.

A revision is built in a scratch worktree, which is gone when the program is there or the build has
failed or was interrupted. The build folder stays, so that no revision is built twice by the same
compiler and flags.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Union

from json_files import STANDARD_INPUT, label_of
from measurements import Measurements, read_measurements
from outputs import make_folder
from programs import Unusable, ending, last_lines, run_program, say


@dataclass(frozen=True)
class Saved:
    label: str
    measurements: Measurements


@dataclass(frozen=True)
class Program:
    label: str
    path: Path
    built_here: bool  # of a revision, under the settings of this call


Side = Union[Saved, Program]

# What CMake takes from the environment when it configures.
ENVIRONMENT = ["CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CMAKE_PREFIX_PATH",
               "CMAKE_TOOLCHAIN_FILE"]


@dataclass(frozen=True)
class Builder:
    """How revisions of a repository become programs."""

    repository: Path
    scratch: Path
    program: Path               # below a build folder; its target has the file's name
    cmake_arguments: list[str]  # of the configuration

    @property
    def source(self) -> Path:
        """The same for all revisions, as paths end up in programs."""
        return self.scratch / "source"

    def git(self, *arguments: object) -> Optional[str]:
        done = subprocess.run(["git", "-C", str(self.repository), *map(str, arguments)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def commit_of(self, revision: str) -> Optional[str]:
        return self.git("rev-parse", "--verify", "--quiet", "--end-of-options",
                        f"{revision}^{{commit}}")

    def compiler(self) -> list[str]:
        """The command; a toolchain file may know of another one."""
        chosen = [argument.partition("=")[2] for argument in self.cmake_arguments
                  if re.match(r"-DCMAKE_CXX_COMPILER[:=]", argument)]
        return chosen[-1:] or shlex.split(os.environ.get("CXX") or "c++")

    def compiler_version(self) -> str:
        try:
            return subprocess.run([*self.compiler(), "--version"], text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        except (OSError, ValueError):
            return ""  # CMake will say what is wrong.

    def settings(self) -> str:
        """A short name for all that makes another program of the same sources."""
        parts = [*self.cmake_arguments, self.compiler_version(),
                 *(f"{name}={os.environ.get(name, '')}" for name in ENVIRONMENT)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]

    def build(self, revision: str, commit: str) -> Path:
        """The program; raises Unusable where there will be none."""
        folder = self.scratch / f"{commit[:12]}-{self.settings()}"
        program = folder / self.program
        # The linker may have left half a program; the stamp is made after it.
        stamp = folder / "built"
        with self.worktree_to_ourselves():
            if not (stamp.exists() and program.exists()):
                make_folder(folder)
                self.build_afresh(revision, commit, folder)
                stamp.touch()
        if not program.exists():
            raise Unusable(f"{revision} builds, but not {self.program}")
        return program

    @contextmanager
    def worktree_to_ourselves(self) -> Iterator[None]:
        make_folder(self.scratch)
        with (self.scratch / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def build_afresh(self, revision: str, commit: str, folder: Path) -> None:
        say(f"building {revision} ({commit[:12]})")
        self.remove_worktree()  # of one that was killed
        try:
            status = run_program(["git", "-C", self.repository, "worktree", "add", "--quiet",
                                  "--detach", self.source, commit], stdout=subprocess.DEVNULL)
            if status != 0:
                raise Unusable(f"git worktree add {self.source} {commit} {ending(status)}")
            self.run_cmake(revision, folder)
        finally:
            self.remove_worktree()

    def remove_worktree(self) -> None:
        self.git("worktree", "remove", "--force", "--force", self.source)
        shutil.rmtree(self.source, ignore_errors=True)
        self.git("worktree", "prune")

    def run_cmake(self, revision: str, folder: Path) -> None:
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        jobs = [] if "CMAKE_BUILD_PARALLEL_LEVEL" in os.environ else [
            "--parallel", len(os.sched_getaffinity(0))]
        log = folder / "build.log"
        with log.open("w", encoding="utf-8") as out:
            for command in [
                    ["cmake", "-S", self.source, "-B", folder, *generator, "--no-warn-unused-cli",
                     "-DCMAKE_BUILD_TYPE=Release", *self.cmake_arguments],
                    ["cmake", "--build", folder, "--target", self.program.name, *jobs]]:
                status = run_program(command, stdout=out, stderr=subprocess.STDOUT)
                if status != 0:
                    raise Unusable(f"{revision} does not build: cmake {ending(status)}; the last "
                                   f"lines of {log}:\n{last_lines(log)}")

    def warn_of_changes(self, revision: str) -> None:
        if revision.startswith("HEAD") and self.git("status", "--porcelain", "-uno"):
            say(f"the working tree has changes that are not in {revision} and are not measured; "
                "name a build folder to measure them")


def resolve(text: str, builder: Builder) -> Side:
    """A file is a saved one, a folder with the program a build, anything else a revision; raises
    Unusable where it is none of these."""
    path = Path(text)
    if text == STANDARD_INPUT or path.exists() and not path.is_dir():
        return Saved(label_of(text), read_measurements(text))
    program = path / builder.program
    if program.is_file():
        return Program(text, program.resolve(), built_here=False)
    commit = builder.commit_of(text)
    if commit is None:
        what = f"the folder {text} has no {builder.program}" if path.is_dir() else (
            f"'{text}' is no file and no folder")
        raise Unusable(f"{what}, and it is no revision of {builder.repository}")
    builder.warn_of_changes(text)
    return Program(f"{text} ({commit[:12]})", builder.build(text, commit).resolve(),
                   built_here=True)
