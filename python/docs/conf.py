"""The API reference of the Python package, by Sphinx:

python -m sphinx -W python/docs build/reference/python
"""

import inspect
import re
from importlib.util import find_spec

import lockstep

project = "Lockstep for Python"
release = lockstep.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1040px", "fixed_sidebar": True}
html_show_copyright = False
html_copy_source = False

# Docstrings are plain text with `code`, and have numpydoc's sections where they have any.
default_role = "code"
napoleon_google_docstring = False
napoleon_use_param = False
autodoc_member_order = "bysource"
autodoc_mock_imports = [name for name in ("aeon",) if find_spec(name) is None]

_FUNCTION = type(lockstep.threads)  # nanobind's, which inspect does not know
_is_python_routine = inspect.isroutine


def _is_routine(value):
    return isinstance(value, _FUNCTION) or _is_python_routine(value)


inspect.isroutine = _is_routine


def _signature_of(cls):
    """That of a class of the module, which only the text of its __init__ has."""
    first_line, _, _ = cls.__init__.__doc__.partition("\n")
    scope = {}
    exec(f"from __future__ import annotations\ndef {first_line}: ...", scope)
    signature = inspect.signature(scope["__init__"])
    _, *parameters = signature.parameters.values()
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


for _class in (lockstep.Dataset, lockstep.Model, lockstep.Stream):
    _class.__signature__ = _signature_of(_class)


def _as_called(app, what, name, obj, options, arguments, returned):
    """Without self and the modules of types."""
    if arguments is None:
        return None
    arguments = re.sub(r"^\(self(, )?", "(", arguments)
    return tuple(
        text and re.sub(r"\b(lockstep\._core|collections\.abc|os)\.", "", text)
        for text in (arguments, returned)
    )


def _is_inherited(app, what, name, obj, skip, options):
    """What scikit-learn and aeon document themselves."""
    module = getattr(obj, "__module__", None) or ""
    return True if module.startswith(("sklearn", "aeon")) else None


def setup(app):
    app.connect("autodoc-process-signature", _as_called)
    app.connect("autodoc-skip-member", _is_inherited)
