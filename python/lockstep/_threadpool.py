"""Lets threadpoolctl see and limit Lockstep's threads, where it is installed."""

from __future__ import annotations

from . import _core


def register() -> None:
    """Tells threadpoolctl of this package. Limits hold for the whole process."""
    try:
        import threadpoolctl  # type: ignore[import-untyped]
    except ImportError:
        return
    if not hasattr(threadpoolctl, "register"):  # before 3.2
        return

    class LockstepController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "lockstep"
        internal_api = "lockstep"
        filename_prefixes = ("_core",)
        check_symbols = ("lockstep_python_module",)

        def get_num_threads(self) -> int:
            return _core.threads()

        def set_num_threads(self, num_threads: int) -> None:
            _core.threads(num_threads)

        def get_version(self) -> str:
            return _core.__version__

    threadpoolctl.register(LockstepController)
