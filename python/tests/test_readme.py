import doctest
import pathlib

import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"


@pytest.mark.skipif(not README.exists(), reason="the README is in the checkout")
def test_the_examples_of_the_readme_do_what_they_say():
    pytest.importorskip("sklearn", minversion="1.6")
    pytest.importorskip("pandas")
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
