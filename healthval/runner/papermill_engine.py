"""Entry point of the engine `healthval-fork`.

papermill loads it while papermill itself is being imported, so that it imports papermill only when it
is used.
"""

from typing import Any


class ForkEngine:
    """The engine of `healthval.runner.fork_engine`, by papermill's three calls."""

    @classmethod
    def execute_notebook(cls, *given: Any, **named: Any) -> Any:
        """Execute a notebook."""
        return _engine().execute_notebook(*given, **named)

    @classmethod
    def nb_kernel_name(cls, *given: Any, **named: Any) -> Any:
        """Return the name of the notebook's kernel."""
        return _engine().nb_kernel_name(*given, **named)

    @classmethod
    def nb_language(cls, *given: Any, **named: Any) -> Any:
        """Return the language of the notebook's kernel."""
        return _engine().nb_language(*given, **named)


def _engine() -> Any:
    from healthval.runner import fork_engine

    return fork_engine.ForkEngine
