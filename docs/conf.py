"""Sphinx settings: the Markdown pages of this folder, and the reference that is made from the code."""

import sys
from pathlib import Path
from typing import NewType

import numpy.typing

sys.path.insert(0, str(Path(__file__).parent))
# Before the packages are imported: the pages show the name, not the union of ten types behind it.
numpy.typing.ArrayLike = NewType("ArrayLike", object)

import reference

import healthval

project = "healthval"
author = "the healthval developers"
version = release = healthval.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"healthval {release}"
html_show_copyright = False
html_copy_source = False
html_last_updated_fmt = None
# Pages open from the disk: nothing is loaded from another origin.
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
# Pages link to files of the repository, which are not part of the site; a sample has no lexer; names of
# fields are equal in several records.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure", "ref.python"]


def setup(app) -> None:
    """Write the reference pages before the sources are read, and describe parameters."""
    app.connect("builder-inited", lambda _: reference.write(Path(app.srcdir) / "reference"))
    app.connect("autodoc-process-docstring", reference.describe_parameters, priority=400)
