"""`Cohort`: one row per case, counts at every step, and a `repr` without values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from healthval.cohort.dates import instant_column, is_hidden
from healthval.contracts.table import TableSchema
from healthval.errors import CohortError, counted

if TYPE_CHECKING:
    import pandas as pd

Flow = tuple[tuple[str, int], ...]
Counts = Flow


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Cohort:
    """A site's cases with their reference standard; identifiable, so it stays at the site.

    Attributes
    ----------
    schema : declaration of each column of the frame, after reading
    steps : (step, cases left after it), from the source to the analysis
    dropped : names of the source's columns that are not declared; local only
    counts : (name, number) of files, resources and values that were left out; local only
    """

    _frame: pd.DataFrame = field(repr=False)
    schema: TableSchema
    steps: Flow
    dropped: tuple[str, ...] = ()
    counts: Counts = ()

    def __post_init__(self) -> None:
        if not len(self._frame):
            steps = " > ".join(f"{step} {n}" for step, n in self.steps)
            raise CohortError(f"the cohort has no cases left ({steps}); widen the last step")

    @property
    def flow(self) -> Flow:
        """Counts of rows and values left out (`counts`), then the steps and the cases after each."""
        return (*self.counts, *self.steps)

    @property
    def frame(self) -> pd.DataFrame:
        """A copy of the declared columns, one row per case."""
        return self._frame[[n for n in self._frame.columns if not is_hidden(n)]].copy()

    def instants(self, name: str) -> pd.Series:
        """Values of a date column that order its rows: instants, where the offsets from UTC differ."""
        hidden = instant_column(name)
        return self._frame[hidden if hidden in self._frame.columns else name].copy()

    def with_counts(self, counts: Counts) -> Cohort:
        """Return the cohort with further counts of what was left out; numbers of one name add up."""
        total = dict(self.counts)
        for name, n in counts:
            total[name] = total.get(name, 0) + n
        return replace(self, counts=tuple((name, n) for name, n in total.items() if n))

    @property
    def cases(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Keys of the cases, shape (n,): values of the first `id` column."""
        return self._frame[self.schema.of_kind("id")[0]].to_numpy(dtype=object)

    @property
    def clusters(self) -> np.ndarray[Any, np.dtype[Any]] | None:
        """Patient of each case, shape (n,); None if the schema has no `cluster`."""
        names = self.schema.of_kind("cluster")
        return self._frame[names[0]].to_numpy(dtype=object) if names else None

    @property
    def ratings(self) -> pd.DataFrame:
        """Verdicts of the readers, one `label` column per reader, shape (n, n_readers)."""
        return self._frame[list(self.schema.of_kind("label"))]

    def levels(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Levels of a category, or bands of an age or number, None where missing. Shape (n,).

        Raises
        ------
        CohortError
            If the column has neither levels nor declared bands.
        """
        column = self.schema.columns.get(name)
        if column is None or (column.kind != "category" and not getattr(column, "bands", ())):
            raise CohortError(
                f"column '{name}' cannot form groups; declare it 'category', or give it 'bands'"
            )
        values = self._frame[name].to_numpy()
        bands = getattr(column, "bands", ())
        return _banded(values, bands) if bands else values

    @property
    def verdicts(self) -> np.ndarray[Any, np.dtype[Any]]:
        """Reference standard in words, readers combined; None where missing. Shape (n,)."""
        labels = self.schema.of_kind("label")
        if not labels:
            raise CohortError("the schema declares no 'label'; add the reference standard's column")
        return combine_readers(
            self._frame[list(labels)].to_numpy(dtype=object), self.schema.readers
        )

    @property
    def reference(self) -> pd.Series:
        """True, False, or missing where the verdict is indeterminate or absent. Shape (n,)."""
        import pandas as pd

        words = {"positive": True, "negative": False}
        return pd.Series([words.get(v) for v in self.verdicts], dtype="boolean", name="reference")

    @property
    def n_indeterminate(self) -> int:
        """Number of cases whose reference standard is indeterminate."""
        return int(np.count_nonzero(self.verdicts == "indeterminate"))

    @property
    def n_missing_reference(self) -> int:
        """Number of cases without a reference standard."""
        return sum(v is None for v in self.verdicts)

    def keep(self, step: str, mask: Any) -> Cohort:
        """Return the cases where `mask` is true; the step and its count are added to the flow.

        Raises
        ------
        CohortError
            If no case is left.
        """
        chosen = np.asarray(mask, dtype=bool)
        if chosen.shape != (len(self),):
            raise CohortError(f"step '{step}': the mask does not have one entry per case")
        frame = self._frame[chosen].reset_index(drop=True)
        return replace(self, _frame=frame, steps=(*self.steps, (step, len(frame))))

    def __len__(self) -> int:
        return len(self._frame)

    def _counts(self) -> list[tuple[int, str, str]]:
        """Counts of cases, patients and verdicts, each with its singular and plural name."""
        counts = [(len(self), "case", "cases")]
        if (clusters := self.clusters) is not None:
            counts.append((len(set(clusters)), "patient", "patients"))
        if self.schema.of_kind("label"):
            words = list(self.verdicts)
            counts += [(words.count(w), w, w) for w in ("positive", "negative", "indeterminate")]
            counts.append((words.count(None), "without reference", "without reference"))
        return [*counts, (len(self.dropped), "column dropped", "columns dropped")]

    def __repr__(self) -> str:
        return f"Cohort({', '.join(counted(*count) for count in self._counts())})"

    def _repr_html_(self) -> str:
        """Two small tables of counts for a notebook."""
        steps = "".join(f"<tr><td>{escape(s)}</td><td>{n}</td></tr>" for s, n in self.flow)
        counts = "".join(f"<tr><td>{name}</td><td>{n}</td></tr>" for n, _, name in self._counts())
        return (
            f"<table><caption>Cohort</caption>{counts}</table>"
            f"<table><caption>Flow</caption>{steps}</table>"
        )


def band_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Names of the bands between edges; none without edges.

    Examples
    --------
    >>> band_names((40, 65))
    ('below_40', 'from_40_to_below_65', 'from_65')
    """
    texts = [f"{edge:g}".replace("-", "minus_") for edge in edges]
    between = [f"from_{a}_to_below_{b}" for a, b in pairwise(texts)]
    return (f"below_{texts[0]}", *between, f"from_{texts[-1]}") if texts else ()


def _banded(values: Any, edges: tuple[float, ...]) -> np.ndarray[Any, np.dtype[Any]]:
    names = np.array(band_names(edges), dtype=object)
    banded: np.ndarray[Any, np.dtype[Any]] = names[np.digitize(values, edges)]
    banded[np.isnan(values)] = None
    return banded


def combine_readers(
    verdicts: np.ndarray[Any, np.dtype[Any]], rule: str
) -> np.ndarray[Any, np.dtype[Any]]:
    """Combine the verdicts of several readers into one verdict per case.

    Parameters
    ----------
    verdicts : object array, shape (n, n_readers); "positive", "negative", "indeterminate" or None
    rule : "majority" needs more than half of the readers who gave a verdict, "unanimous" needs all
        of them; otherwise the case is indeterminate. A case without any verdict is None.
    """
    read = np.isin(verdicts, ("positive", "negative", "indeterminate"))
    n_read = read.sum(axis=1)
    needed = n_read if rule in {"unanimous", "single"} else n_read // 2 + 1
    combined = np.full(len(verdicts), None, dtype=object)
    combined[n_read > 0] = "indeterminate"
    for word in ("positive", "negative"):
        votes = (verdicts == word).sum(axis=1)
        combined[(n_read > 0) & (votes >= needed)] = word
    return combined
