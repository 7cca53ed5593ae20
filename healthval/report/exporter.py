"""nbconvert exporter `healthval`: any executed notebook as one self-contained page.

It is registered as an entry point, for ``jupyter nbconvert --to healthval`` and for JupyterLab's
menu "Save and Export Notebook As".
"""

from typing import Any

from nbconvert import HTMLExporter

from healthval.report.render import render_html


class ReportExporter(HTMLExporter):
    """Exports a notebook by `render_html`, with its refusals: failed cells, outside resources."""

    export_from_notebook = "healthval report"

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: dict[str, Any] | None = None, **_: Any
    ) -> tuple[str, dict[str, Any]]:
        """Render the notebook; inputs and warnings are left out."""
        made: dict[str, Any] = self._init_resources(resources)  # type: ignore[no-untyped-call]
        made["output_extension"] = ".html"
        return render_html(nb), made
