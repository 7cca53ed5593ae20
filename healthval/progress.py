"""Progress bar: a widget in notebooks that have ipywidgets, else text."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("ipywidgets") is None:
    from tqdm import tqdm  # tqdm.auto warns in a notebook without ipywidgets when it is imported
else:
    from tqdm.auto import tqdm

__all__ = ["tqdm"]
