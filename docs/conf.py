"""The site of docs/, by Sphinx: `make docs` writes it to build/site, which is read from a folder, without a network."""

from __future__ import annotations

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import tiphys

project = "Tiphys"
author = "the Tiphys authors"
release = tiphys.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["argo_ui.py"]
root_doc = "index"

html_theme = "furo"
html_title = f"Tiphys {release}"
html_show_copyright = False
html_show_sphinx = False
html_extra_path = ["tutorial.ipynb"]

myst_heading_anchors = 4
# what is in the repository and not in the site (sources, results): tests/test_docs.py sees that it is there
suppress_warnings = ["myst.xref_missing"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"


def setup(app: Sphinx) -> None:
    """A drawing in mermaid's words is shown as those: what draws it comes from elsewhere."""
    app.add_lexer("mermaid", TextLexer)
