"""Units of measurement: one canonical form of a unit, and conversion within a dimension.

Source: The Unified Code for Units of Measure (UCUM) 2.1, `ucum-essence.xml`: sizes, and which units take a
prefix. Equivalents and osmoles are amounts there; here they are dimensions without a conversion, because
an equivalent of a substance is its amount times a charge that the unit does not state.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_Dimension = tuple[tuple[str, int], ...]

_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18,
}  # fmt: skip
# Unit: size in base units, base units with their exponents, whether it takes a prefix.
_ATOMS: dict[str, tuple[float, _Dimension, bool]] = {
    "m": (1, (("m", 1),), True), "g": (1, (("g", 1),), True), "s": (1, (("s", 1),), True),
    "mol": (1, (("mol", 1),), True), "K": (1, (("K", 1),), True), "eq": (1, (("eq", 1),), True),
    "osm": (1, (("osm", 1),), True), "[IU]": (1, (("IU", 1),), True),
    "L": (1e-3, (("m", 3),), True), "l": (1e-3, (("m", 3),), True),
    "min": (60, (("s", 1),), False), "h": (3600, (("s", 1),), False),
    "d": (86400, (("s", 1),), False), "wk": (604800, (("s", 1),), False),
    "mo": (2629800, (("s", 1),), False), "a": (31557600, (("s", 1),), False),
    "Hz": (1, (("s", -1),), True),
    "Pa": (1e3, (("g", 1), ("m", -1), ("s", -2)), True),
    "bar": (1e8, (("g", 1), ("m", -1), ("s", -2)), True),
    "m[Hg]": (133322e3, (("g", 1), ("m", -1), ("s", -2)), True),
    "m[H2O]": (9806.65e3, (("g", 1), ("m", -1), ("s", -2)), True),
    "J": (1e3, (("g", 1), ("m", 2), ("s", -2)), True),
    "cal": (4184, (("g", 1), ("m", 2), ("s", -2)), True),
    "kat": (1, (("mol", 1), ("s", -1)), True), "U": (1e-6 / 60, (("mol", 1), ("s", -1)), True),
    "%": (1e-2, (), False), "[ppth]": (1e-3, (), False), "[ppm]": (1e-6, (), False),
    "1": (1, (), False), "[pH]": (1, (("pH", 1),), False),
    "[in_i]": (0.0254, (("m", 1),), False), "[ft_i]": (0.3048, (("m", 1),), False),
    "[lb_av]": (453.59237, (("g", 1),), False), "[oz_av]": (28.349523125, (("g", 1),), False),
    "[in_us]": (1e2 / 3937, (("m", 1),), False), "[ft_us]": (1200 / 3937, (("m", 1),), False),
    "N": (1e3, (("g", 1), ("m", 1), ("s", -2)), True),
    "W": (1e3, (("g", 1), ("m", 2), ("s", -3)), True), "V": (1, (("V", 1),), True),
    "dyn": (1e-2, (("g", 1), ("m", 1), ("s", -2)), True),
    "P": (100, (("g", 1), ("m", -1), ("s", -1)), True), "deg": (1, (("deg", 1),), False),
    "[diop]": (1, (("m", -1),), False), "[ppb]": (1e-9, (), False),
    "[HPF]": (1, (("HPF", 1),), False), "[LPF]": (1, (("LPF", 1),), False),
    "[arb'U]": (1, (("arb", 1),), False), "Gy": (1, (("m", 2), ("s", -2)), True),
    "[bsa]": (1, (("bsa", 1),), False),  # 1.73 square metres of body surface
    "Cel": (1, (("Cel", 1),), False), "[degF]": (1, (("degF", 1),), False),
}  # fmt: skip
# Spellings outside UCUM that hospitals write; compared without regard to case.
_SYNONYMS = {
    "°c": "Cel", "degc": "Cel", "deg c": "Cel", "celsius": "Cel", "°f": "[degF]", "degf": "[degF]",
    "deg f": "[degF]", "fahrenheit": "[degF]", "mmhg": "mm[Hg]", "mm hg": "mm[Hg]",
    "cmh2o": "cm[H2O]", "bpm": "/min", "beats/min": "/min", "breaths/min": "/min", "sec": "s",
    "secs": "s", "seconds": "s", "minutes": "min", "hr": "h", "hrs": "h", "hours": "h", "days": "d",
    "weeks": "wk", "months": "mo", "years": "a", "yr": "a", "yrs": "a", "in": "[in_i]",
    "inch": "[in_i]", "inches": "[in_i]", "lb": "[lb_av]", "lbs": "[lb_av]", "cc": "mL", "ratio": "1",
    "percent": "%", "ph": "[pH]", "kg/m^2": "kg/m2", "kg/m²": "kg/m2", "k/ul": "10*3/uL",
    "thou/ul": "10*3/uL", "th/ul": "10*3/uL", "m/ul": "10*6/uL", "mil/ul": "10*6/uL",
    "million/ul": "10*6/uL", "/cumm": "/mm3", "torr": "mm[Hg]", "g%": "g/dL", "mg%": "mg/dL", "vol%": "%", "vol.%": "%", "inr": "1",
    "vol-%": "%", "gm/dl": "g/dL", "gms/dl": "g/dL",
}  # fmt: skip
# Numbers of cells before "/": G/L and T/L are those of French laboratories.
_COUNTED = {
    "g": "10*9", "t": "10*12", "cells": "1", "giga": "10*9", "gpt": "10*9", "tera": "10*12", "tpt": "10*12", "mio": "10*6",
    "tsd": "10*3", "thousand": "10*3",
}  # fmt: skip
_TOKEN = re.compile(r"[./()]|(?:\[[^\]]*\]|[^./()\[\]])+")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as a multiple of base units; equal units are written in different ways only."""

    factor: str
    dimension: _Dimension

    @property
    def size(self) -> float:
        """Size in base units."""
        return float(self.factor)


@lru_cache(maxsize=1024)
def read_unit(text: str) -> Unit | None:
    """Read a unit of UCUM or one of its common spellings; None if it is unknown.

    >>> read_unit("mmol/l") == read_unit("mmol/L"), read_unit("K/µL") == read_unit("10^9/L")
    (True, True)
    """
    size, powers = 1.0, dict[str, int]()
    terms = _terms(_TOKEN.findall(plain)) if (plain := _plain(text)) else None
    if terms is None or "".join(_TOKEN.findall(plain)) != plain:
        return None
    for exponent, name in terms:
        found = _component(name)
        if found is None:
            return None
        size *= found[0] ** exponent
        for base, power in found[1]:
            powers[base] = powers.get(base, 0) + power * exponent
    if (
        powers.get("mol") == 0
    ):  # an amount per amount: no percentage, which is one of mass or volume
        powers["mol/mol"] = 1
    dimension = tuple(sorted((base, power) for base, power in powers.items() if power))
    return Unit(f"{size:.9e}", dimension)


def _terms(parts: list[str]) -> list[tuple[int, str]] | None:
    """Components with their exponents, 1 or -1; None where the syntax is not that of UCUM."""
    found: list[tuple[int, str]] = []
    outer, sign, operand = [1], 1, True  # operand: whether a component or "(" is next
    for part in parts:
        if operand != (part not in "./)"):
            return None
        if part in "./":
            sign, operand = (-1 if part == "/" else 1), True
        elif part == "(":
            outer.append(outer[-1] * sign)
            sign = 1
        elif part == ")":
            outer.pop()
        else:
            found.append((outer[-1] * sign, part))
            operand = False
        if not outer:
            return None
    return None if operand or len(outer) > 1 else found


def same_unit(given: str, expected: str) -> bool:
    """Whether two texts name one unit; unknown units are the same only as equal texts."""
    if given == expected:
        return True
    a = read_unit(given)
    return a is not None and a == read_unit(expected)


def conversion(
    given: str, wanted: str, molar_mass: float | None = None
) -> tuple[float, float] | None:
    """Slope and intercept from one unit to another by their definitions; None without one.

    Parameters
    ----------
    molar_mass : of the substance, in g/mol, to convert between mass and amount

    Examples
    --------
    >>> conversion("mg/dL", "g/L"), conversion("[degF]", "Cel")
    ((0.01, 0.0), (0.5555555555555556, -17.77777777777778))
    """
    a, b = read_unit(given), read_unit(wanted)
    if a is None or b is None:
        return None
    if (affine := _AFFINE.get((a.dimension, b.dimension))) is not None:
        return affine
    size = a.size
    if a.dimension != b.dimension and molar_mass:
        mass, amount = dict(a.dimension), dict(b.dimension)
        n = mass.get("g", 0) - amount.get("g", 0)
        if n and n == amount.get("mol", 0) - mass.get("mol", 0):
            size *= molar_mass**-n
            mass["g"], mass["mol"] = mass.get("g", 0) - n, mass.get("mol", 0) + n
            a = Unit(a.factor, tuple(sorted((k, p) for k, p in mass.items() if p)))
    if a.dimension != b.dimension:
        return None
    return float(f"{size / b.size:.9g}"), 0.0


_CEL, _FAHRENHEIT, _KELVIN = ((("Cel", 1),), (("degF", 1),), (("K", 1),))
_AFFINE: dict[tuple[_Dimension, _Dimension], tuple[float, float]] = {
    (_FAHRENHEIT, _CEL): (5 / 9, -160 / 9),
    (_CEL, _FAHRENHEIT): (9 / 5, 32.0),
    (_KELVIN, _CEL): (1.0, -273.15),
    (_CEL, _KELVIN): (1.0, 273.15),
}


# Glycated haemoglobin: NGSP (%) = 0.09148 IFCC (mmol/mol) + 2.152; Weykamp et al., Clin Chem 2008;54:240.
_NGSP, _IFCC, _NGSP_SLOPE, _NGSP_AT_0 = "%", "mmol/mol", 0.09148, 2.152


def hba1c_conversion(given: str, wanted: str) -> tuple[float, float] | None:
    """Slope and intercept between the two units of HbA1c; None for other units.

    >>> slope, intercept = hba1c_conversion("%", "mmol/mol")
    >>> round(slope * 6.5 + intercept)
    48
    """
    if same_unit(given, _NGSP) and same_unit(wanted, _IFCC):
        return 1 / _NGSP_SLOPE, -_NGSP_AT_0 / _NGSP_SLOPE
    if same_unit(given, _IFCC) and same_unit(wanted, _NGSP):
        return _NGSP_SLOPE, _NGSP_AT_0
    return None


def in_yaml(unit: str) -> str:
    """A unit as a key in a plan, in quotes where YAML needs them."""
    return unit if unit[:1].isalnum() else f'"{unit}"'


def conversion_by(factor: float | str, given: str, wanted: str) -> tuple[float, float] | None:
    """Slope and intercept by a factor of the plan: a number, "ucum" or "hba1c"; None without one."""
    if isinstance(factor, str):
        return (conversion if factor == "ucum" else hba1c_conversion)(given, wanted)
    return float(factor), 0.0


def _plain(text: str) -> str:
    """Bring a unit to UCUM's letters: annotations, spaces and powers of ten in one form."""
    plain = unicodedata.normalize("NFC", text).strip()
    plain = plain.replace("μ", "u").replace("µ", "u")
    plain = _SYNONYMS.get(plain.casefold(), plain)
    plain = re.sub(r"/[({\[]?1[.,]73[ ._*]?m\^?[2²][)}\]]?", "/[bsa]", plain)
    plain = re.sub(r"/\{[^{}]*\}", "/1", plain)
    plain = re.sub(r"\{[^{}]*\}", "", plain).replace(" ", "")
    plain = re.sub(r"^mc(?=[gL])", "u", plain).replace("²", "2").replace("³", "3")
    plain = re.sub(r"^(?:[x*×]?10[*^e]|e)(\d+)", r"10*\1", plain, flags=re.IGNORECASE)
    plain = re.sub(r"^(?:G/[Ll]|T/[Ll])$", lambda m: _COUNTED[m[0][0].lower()] + "/L", plain)
    plain = re.sub(r"^([a-z]{3,})/(?=.)", _counted, plain, flags=re.IGNORECASE)
    plain = re.sub(r"/24h(?:rs?)?$", "/d", plain)
    plain = re.sub(r"(?<=/)(?:hr|sec)$", lambda found: found[0][0], plain)
    plain = re.sub(r"osm(?:ol)?(?![a-z])", "osm", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(?<![A-Za-z\[])([munk]?)(?:IU|IE|UI)(?![A-Za-z\]])", r"\1[IU]", plain)
    return f"1{plain}" if plain.startswith("/") else plain or "1"


def _counted(found: re.Match[str]) -> str:
    return _COUNTED.get(found[1].casefold(), found[1]) + "/"


def _component(name: str) -> tuple[float, _Dimension] | None:
    power_of_ten = re.fullmatch(r"10\*(-?\d{1,2})", name)
    if power_of_ten:
        return 10.0 ** int(power_of_ten[1]), ()
    if re.fullmatch(r"[1-9]\d{0,5}", name):
        return float(name), ()
    parts = re.fullmatch(r"(.*?[^\d+-])(?:\^?([+-]?\d))?", name)
    if parts is None or (atom := _atom(parts[1])) is None:
        return None
    exponent = int(parts[2] or 1)
    return atom[0] ** exponent, tuple((base, power * exponent) for base, power in atom[1])


def _atom(name: str) -> tuple[float, _Dimension] | None:
    for spelled in (name, _LOWER.get(name.casefold(), name)):
        if spelled in _ATOMS:
            return _ATOMS[spelled][:2]
        for size in (2, 1):
            atom = _ATOMS.get(spelled[size:])
            if atom and atom[2] and spelled[:size] in _PREFIXES:
                return atom[0] * 10.0 ** _PREFIXES[spelled[:size]], atom[1]
    return None


# Words whose case differs between systems; MG and PG are left out, because M and P are prefixes.
_LOWER = {
    word.casefold(): word
    for word in ("mmol", "umol", "nmol", "pmol", "ug", "ng", "kg", "dL", "mL", "uL", "meq")
}
