"""The API reference: no warnings, and every public name with its docstring."""

import inspect
import pathlib
import subprocess
import sys
import zlib

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("sklearn", minversion="1.6")

import lockstep
from lockstep.report import Report

DOCS = pathlib.Path(__file__).parent.parent / "docs"
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the reference is in the checkout")

ESTIMATORS = ("RNNClassifier", "RNNRegressor")
MODULES = ("interchange", "kernels", "numpy_rnn")


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """The full names of all that the reference describes, of Sphinx's inventory."""
    folder = tmp_path_factory.mktemp("reference")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", folder / "trees"]
    result = subprocess.run([*command, DOCS, folder / "html"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    _, _, _, _, lines = (folder / "html" / "objects.inv").read_bytes().split(b"\n", 4)
    return {line.split(" ", 1)[0] for line in zlib.decompress(lines).decode().splitlines()}


def classes():
    names = dict.fromkeys((*lockstep.__all__, *ESTIMATORS))
    yield from ((name, getattr(lockstep, name)) for name in names)
    yield "report.Report", Report
    yield "numpy_rnn.ScratchSimpleRNNClassifier", lockstep.numpy_rnn.ScratchSimpleRNNClassifier


def members_of(cls):
    """Those without an underscore that neither Python nor scikit-learn documents."""
    for name in dir(cls):
        module = getattr(inspect.getattr_static(cls, name), "__module__", None) or "lockstep"
        if not name.startswith("_") and module.startswith("lockstep"):
            yield name


def test_every_public_name_is_in_it(documented):
    expected = {f"lockstep.{name}" for name in (*lockstep.__all__, *ESTIMATORS)}
    expected |= {f"lockstep.aeon.{name}" for name in ESTIMATORS}
    for module in MODULES:
        expected |= {f"lockstep.{module}.{name}" for name in getattr(lockstep, module).__all__}
    assert sorted(expected - documented) == []


@pytest.mark.parametrize("name, cls", [pair for pair in classes() if inspect.isclass(pair[1])])
def test_every_public_member_is_in_it(documented, name, cls):
    if cls is not lockstep.FileError:
        members = {f"lockstep.{name}.{member}" for member in members_of(cls)}
        assert members and sorted(members - documented) == []


def test_attributes_of_estimators_are_in_it(documented):
    assert {"lockstep.RNNClassifier.classes_", "lockstep.RNNRegressor.model_"} <= documented
