import ast
import importlib.metadata
import pathlib
import runpy
import subprocess
import sys

import pytest

import lockstep

FOLDER = pathlib.Path(lockstep.__file__).parent

PROGRAM = """
import lockstep
import numpy as np
from lockstep import Model, RNNClassifier
from lockstep.estimators import RNNRegressor

x = np.zeros((4, 5, 1), np.float32)
classifier: lockstep.RNNClassifier = RNNClassifier(hidden=3).fit(x, [0, 1, 0, 1])
epochs: int = classifier.n_iter_ + classifier.kept_epoch_
model: Model = classifier.model_
again: RNNClassifier = lockstep.RNNClassifier.from_model(model)
other: lockstep.RNNRegressor = lockstep.estimators.RNNRegressor()
same: RNNRegressor = other
RNNClassifier(hiden=3)  # type: ignore[call-arg]
lockstep.nothing  # type: ignore[attr-defined]
for series in lockstep.Dataset(x):
    print(series.shape, lockstep.kernels.tanh(series), lockstep.interchange.to_onnx(again))
"""


def output_of(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_the_version_is_that_of_the_library():
    assert lockstep.__version__ == lockstep.info()["version"]
    assert importlib.metadata.version("lockstep") == lockstep.__version__


def test_it_has_types():
    assert (FOLDER / "py.typed").exists()
    tree = ast.parse((FOLDER / "_core.pyi").read_text())
    names = {node.name for node in tree.body if hasattr(node, "name")}
    assert {"Model", "Dataset", "Stream", "gemm", "info", "threads"} <= names
    model = next(node for node in tree.body if getattr(node, "name", "") == "Model")
    methods = {node.name for node in model.body if hasattr(node, "name")}
    assert {"fit", "predict_proba", "tensors", "from_parts", "to_bytes"} <= methods


def test_importing_it_imports_little():
    code = "import sys, lockstep; print(*sorted(m.split('.')[0] for m in sys.modules))"
    modules = set(output_of(code).split())
    assert "lockstep" in modules
    for large in ("sklearn", "scipy", "torch", "pandas", "matplotlib", "onnx", "aeon"):
        assert large not in modules


def test_submodules_are_found_without_an_import():
    code = "import lockstep, numpy as np; print(lockstep.kernels.relu(np.ones(1, np.float32)))"
    assert output_of(code) == "[1.]\n"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        lockstep.nothing
    assert set(lockstep.__all__) <= set(dir(lockstep))


def test_a_star_gives_the_estimators_where_there_is_scikit_learn():
    pytest.importorskip("sklearn", minversion="1.6")
    assert output_of("from lockstep import *; print(RNNClassifier().hidden)") == "64\n"
    without = "import sys; sys.modules['sklearn'] = None; "
    assert output_of(without + "from lockstep import *; print(Model.__name__)") == "Model\n"
    name = output_of("import lockstep; print(lockstep.estimators.__name__)")
    assert name == "lockstep.estimators\n"


def test_mypy_knows_what_there_is(tmp_path):
    pytest.importorskip("mypy")
    pytest.importorskip("sklearn", minversion="1.6")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    cache = f"--cache-dir={tmp_path / 'cache'}"
    command = [sys.executable, "-m", "mypy", "--strict", cache, str(program)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout


def test_every_public_name_has_a_docstring():
    for name in lockstep.__all__:
        value = getattr(lockstep, name)
        if not isinstance(value, (str, dict)):
            assert value.__doc__, name
    for cls in (lockstep.Model, lockstep.Dataset, lockstep.Stream, lockstep.FitResult):
        for name in vars(cls):
            if not name.startswith("_"):
                assert getattr(cls, name).__doc__, f"{cls.__name__}.{name}"


def test_info():
    info = lockstep.info()
    names = [backend["name"] for backend in info["backends"]]
    assert info["backend"] in names and names[-1] == "reference"
    assert info["caches"]["l2_bytes"] > 0
    assert info["threads"] >= 1
    assert {"gru", "lstm", "tanh", "relu"} <= set(info["cells"])
    assert {"classify", "regress"} <= set(info["heads"])


def test_nothing_leaks_at_exit():
    code = (
        "import lockstep, numpy as np\n"
        "data = lockstep.Dataset(np.zeros((4, 2, 1), np.float32), labels=[0, 1, 0, 1])\n"
        "model = lockstep.Model(data, epochs=1)\n"
        "stream = lockstep.Stream(model)\n"
        "view = data[0]\n"
        "try:\n    lockstep.Dataset([])\nexcept ValueError as error:\n    kept = error\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "leak" not in result.stderr


def test_the_estimators_have_types_of_the_options_table():
    pytest.importorskip("sklearn", minversion="1.6")
    tool = pathlib.Path(__file__).parent.parent / "tools" / "estimator_stubs.py"
    if not tool.exists():
        pytest.skip("the tool is in the checkout")
    written = runpy.run_path(str(tool))["main"]()
    assert (FOLDER / "estimators.pyi").read_text() == written, f"run {tool.name} again"
    ast.parse(written)
