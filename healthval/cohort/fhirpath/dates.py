"""Partial dates and times: comparison by FHIRPath's rules, lower and upper boundaries."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

_MOMENT = re.compile(
    r"(?:(\d{4})(?:-(\d\d)(?:-(\d\d))?)?)?"
    r"(?:T?(?:(\d\d):?(?:(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?)?)?(Z|[+-]\d\d:\d\d)?"
)
_FHIR_MOMENT = re.compile(
    r"[12]\d{3}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])"
    r"(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?)?)?"
)
# A plain date without a declared type is read as a dateTime, except in these R4 elements.
DATE_ELEMENTS = frozenset(
    {"birthDate", "expirationDate", "startDate", "lastReviewDate", "approvalDate"}
)


def _fields(text: str) -> tuple[list[int], str | None] | None:
    """Fields from the year (or the hour of a time) to the last one given, and the UTC offset."""
    timed = bool(re.match(r"\d\d:", text)) or (len(text) == 2 and text.isdigit())
    found = _MOMENT.fullmatch("T" + text if timed else text)
    if found is None:
        return None
    *fields, fraction, offset = found.groups()
    values = [int(f) for f in fields if f is not None]
    if fraction:
        values.append(int(fraction[:3].ljust(3, "0")))
    return (values, offset) if values else None


def is_moment(text: str) -> bool:
    """Whether a text has the form of a FHIR date or dateTime.

    >>> is_moment("2024-01-05T10:00:00Z"), is_moment("2024-01"), is_moment("2345-7")
    (True, True, False)
    """
    return text[:1].isdigit() and _FHIR_MOMENT.fullmatch(text) is not None


def compare_moments(left: str, right: str) -> int | None:
    """Return -1, 0 or 1; None if precision or offset leaves the order undetermined.

    >>> compare_moments("2020-01-01", "2020-02"), compare_moments("2020", "2020-01")
    (-1, None)
    """
    a, b = _fields(left), _fields(right)
    if a is None or b is None:
        return None
    if len(a[0]) >= 5 and len(b[0]) >= 5 and (a[1] is None) != (b[1] is None):
        return None
    if a[1] and b[1] and a[1] != b[1]:
        try:
            a, b = (_to_utc(*a), None), (_to_utc(*b), None)
        except (ValueError, OverflowError):  # no existing day or time
            return None
    # Seconds and milliseconds count as one precision (FHIRPath N1, 6.2).
    x, y = (_whole_seconds(v[0]) for v in (a, b))
    for i, j in zip(x, y, strict=False):
        if i != j:
            return -1 if i < j else 1
    return 0 if len(x) == len(y) else None


def _whole_seconds(fields: list[int]) -> list[int]:
    at = 5 if fields[0] > 99 else 2
    if len(fields) <= at:
        return fields
    return [*fields[:at], fields[at] * 1000 + (fields[at + 1] if len(fields) > at + 1 else 0)]


def _to_utc(fields: list[int], offset: str | None) -> list[int]:
    sign = -1 if offset and offset.startswith("-") else 1
    shift = timedelta()
    if offset and offset != "Z":
        shift = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
    whole = [*fields, *(1, 1, 0, 0, 0, 0)[len(fields) - 1 :]][:6]
    moment = datetime(*whole[:6], tzinfo=timezone(shift)).astimezone(UTC)  # type: ignore[arg-type, misc]
    moved = [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second]
    return [*moved[: len(fields)], *fields[6:]]


def boundary(value: object, kind: str | None, *, high: bool) -> object:
    """Return the least or greatest value within the stated precision; None if the text is not a date.

    Parameters
    ----------
    value : number, or text of a date, dateTime or time
    kind : "date", "dateTime", "instant", "time", or None to infer it from the text

    Examples
    --------
    >>> boundary(1.0, None, high=False), boundary("1970-06", "date", high=True)
    (0.95, '1970-06-30')
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number_boundary(value, high=high)
    if not isinstance(value, str) or (parsed := _fields(value)) is None:
        return None
    fields, offset = parsed
    if kind == "time" or re.match(r"\d\d:", value):
        return _clock(fields, high=high)
    if kind == "date":
        return _day(fields[:3], high=high)
    zone = offset or ("-12:00" if high else "+14:00")
    return f"{_day(fields[:3], high=high)}T{_clock(fields[3:], high=high)}{zone}"


def _number_boundary(value: float, *, high: bool) -> float:
    exact = Decimal(repr(value))
    exponent = exact.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    return float(exact + half if high else exact - half)


def _day(fields: list[int], *, high: bool) -> str:
    year, month, day = [*fields, 0, 0][:3]
    month = month or (12 if high else 1)
    day = day or (calendar.monthrange(year, month)[1] if high else 1)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _clock(fields: list[int], *, high: bool) -> str:
    default = (23, 59, 59, 999) if high else (0, 0, 0, 0)
    hour, minute, second, milli = [*fields, *default[len(fields) :]]
    return f"{hour:02d}:{minute:02d}:{second:02d}.{milli:03d}"
