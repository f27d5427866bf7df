"""Every example runs, and does about as well as it did."""

import pathlib
import re
import runpy
import sys

import pytest

pytest.importorskip("sklearn", minversion="1.6")

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"
LEAST = {
    "first_steps": {"accuracy": 0.9},
    "ragged_lists": {"accuracy": 0.85},
    "grid_search": {"accuracy": 0.8},
    "regression": {"R2": 0.95, "R2 of timesteps": 0.9},
    "streams": {},
}

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are in the checkout")


def test_all_are_known():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*LEAST, "compare_aeon"}


@pytest.mark.parametrize("name", LEAST)
def test_example(name, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    output = capsys.readouterr().out
    for score, least in LEAST[name].items():
        (value,) = re.findall(rf"^{score} ([-0-9.]+)$", output, re.MULTILINE)
        assert float(value) > least
    assert output


def test_the_comparison(tmp_path, capsys):
    pytest.importorskip("aeon", minversion="1.0")
    for part in ("TRAIN", "TEST"):
        rows = "".join(f"{i % 3},{1 + i % 2},{2 * (i % 2)}:{i % 2}\n" for i in range(12))
        header = "@problemName Tiny\n@univariate true\n@classLabel true 0 1\n@data\n"
        (tmp_path / f"Tiny_{part}.ts").write_text(header + rows)
    compare = runpy.run_path(str(EXAMPLES / "compare_aeon.py"))
    files = [str(tmp_path / f"Tiny_{part}.ts") for part in ("TRAIN", "TEST")]
    compare["main"]([*files, "--only", "lockstep GRU", "aeon 1-NN DTW"])
    output = capsys.readouterr().out
    assert "12 sequences to learn from, 12 to predict, 1 channels, 3 to 3 timesteps" in output
    assert len(re.findall(r"^(?:lockstep|aeon).*  +[01]\.\d{4} ", output, re.MULTILINE)) == 2
