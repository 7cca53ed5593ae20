"""Scenarios of the demo's tracks: sites, words of the summary, size of a case.

`table` splits real patients into three sites. `fhir` and `imaging` use synthetic patients, with
FHIR R4 resources, chest films and a label table that has mistakes in it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthval.demo.inputs import INVENTED, SITES, DemoSite, InventedSite
from healthval.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Scenario of one track."""

    sites: tuple[DemoSite, ...] | tuple[InventedSite, ...]
    headline: str
    condition: str
    memory_mb: int = 1024
    megabytes: float = 0.001  # per case, in and out

    def sources(self, inputs: Path, site: DemoSite | InventedSite) -> dict[str, Any]:
        """Files of one site, by the evaluation notebook's parameters."""
        home = inputs / site.folder
        parts = {"table": "labels.csv", "resources": "bundles", "images": "images"}
        found = {name: home / part for name, part in parts.items() if (home / part).exists()}
        return found or {"table": home / "cohort.csv"}


def scene(track: str) -> Scene:
    """Return the scenario for a demo track.

    Raises
    ------
    UsageError
        If the track is unknown.
    """
    if track not in _SCENES:
        raise UsageError(f"unknown track; choose one of {', '.join(_SCENES)}")
    return _SCENES[track]


_INVENTED = "Invented patients at three invented hospitals; names, numbers and dates are there to be removed."
_SCENES: dict[str, Scene] = {
    "table": Scene(
        sites=SITES,
        headline="Real patients (Wisconsin breast cancer, 569); the three sites are a split of them, names and dates invented.",
        condition="malignant",
    ),
    "fhir": Scene(
        sites=INVENTED,
        headline=f"{_INVENTED} Inputs are FHIR resources.",
        condition="with pneumonia",
    ),
    "imaging": Scene(
        sites=INVENTED,
        headline=f"{_INVENTED} Inputs are films and FHIR resources.",
        condition="with pneumonia",
        memory_mb=2048,
        megabytes=0.01,
    ),
}
