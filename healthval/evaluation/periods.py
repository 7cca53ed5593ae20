"""Periods of a plan with monitoring: which have ended, and the period of each case."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from healthval.cohort import Cohort
from healthval.contracts.monitoring import ENDED, Monitoring
from healthval.errors import CohortError, part
from healthval.plan import Plan

_TWO_DAYS = np.timedelta64(2, "D")


def in_ended_periods(plan: Plan, cohort: Cohort, judged: Cohort, *, today: dt.date) -> Cohort:
    """Exclude cases outside the plan's periods and of periods that have not ended, with a count.

    A period has ended if a case of the cohort is dated on or after its end, so that equal data give
    an equal result on every day. An unfinished period would be released twice, and the difference
    would be about few patients.

    Parameters
    ----------
    cohort : all cases of the plan, also those without a reference standard
    judged : the cases to be sent
    today : a case of a later date would end periods before their time

    Raises
    ------
    CohortError
        If a case is dated after today, no period has ended, or no case is left.
    """
    watched = plan.monitoring
    if watched is None:
        return judged
    _refuse_future(cohort, watched, today)
    newest = _positions(cohort, watched).max(initial=-1)
    if newest < 1:
        raise CohortError(
            f"no period of the plan has ended: no case has a '{watched.date}' on or after"
            f" {watched.edges[1]}; evaluate when there are cases of the next period"
        )
    at = _positions(judged, watched)
    return judged.keep(ENDED, (at >= 0) & (at < newest))


def periods_of(judged: Cohort, watched: Monitoring) -> np.ndarray[Any, np.dtype[Any]]:
    """Level of each case in the variable of the periods; None outside them. Shape (n,)."""
    at = _positions(judged, watched)
    names = np.array([*watched.levels, None], dtype=object)
    inside = (at >= 0) & (at < watched.periods)
    levels: np.ndarray[Any, np.dtype[Any]] = names[np.where(inside, at, watched.periods)]
    return levels


def _refuse_future(cohort: Cohort, watched: Monitoring, today: dt.date) -> None:
    """Refuse dates after tomorrow: the clocks of machine and hospital may be in different zones."""
    late = int(np.count_nonzero(_dates(cohort, watched) >= np.datetime64(today, "us") + _TWO_DAYS))
    if late:
        raise CohortError(
            f"column '{watched.date}': {part(late, len(cohort), 'case', 'are dated after today')}"
            f" ({today}), which would end periods early; correct these dates, or leave out cases that"
            " have not taken place"
        )


def _dates(cohort: Cohort, watched: Monitoring) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    dates: np.ndarray[Any, np.dtype[np.datetime64]] = cohort.frame[watched.date].to_numpy(
        dtype="datetime64[us]"
    )
    return dates


def _positions(cohort: Cohort, watched: Monitoring) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number of each case's period from 0; -1 before the first or without a date. Shape (n,)."""
    dates = _dates(cohort, watched)
    edges = np.array(watched.edges, dtype="datetime64[us]")
    at: np.ndarray[Any, np.dtype[np.int64]] = np.searchsorted(edges, dates, side="right") - 1
    at[np.isnat(dates)] = -1
    return at
