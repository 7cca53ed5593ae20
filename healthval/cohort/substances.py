"""Molar masses of common laboratory substances, by the LOINC codes of their measurements.

Sources: codes from LOINC (https://loinc.org); molar masses in g/mol from the formula and the standard
atomic weights of IUPAC (2021, abridged). Urea nitrogen is two atoms of nitrogen, phosphate is given as
phosphorus, haemoglobin as the monomer (IFCC), triglycerides as triolein.
"""

from __future__ import annotations

_MASSES: dict[str, tuple[float, tuple[str, ...]]] = {
    "glucose": (180.156, ("2345-7", "2339-0", "14749-6", "15074-8", "41653-7", "1558-6", "1557-8")),
    "creatinine": (113.12, ("2160-0", "14682-9", "38483-4")),
    "urea nitrogen": (28.014, ("3094-0", "6299-2")),
    "urea": (60.056, ("3091-6", "22664-7")),
    "lactate": (90.078, ("2524-7", "2518-9", "32693-4", "14118-4", "59032-3")),
    "cholesterol": (386.664, ("2093-3", "14647-2", "2085-9", "14646-4", "13457-7", "22748-8", "2089-1")),
    "triglycerides": (885.45, ("2571-8", "14927-8")),
    "bilirubin": (584.673, ("1975-2", "14631-6", "1968-7", "14629-0")),
    "calcium": (40.078, ("17861-6", "2000-8", "1994-3", "1995-0")),
    "magnesium": (24.305, ("19123-9", "2601-3")),
    "phosphorus": (30.974, ("2777-1", "14879-1")),
    "urate": (168.112, ("3084-1", "14933-6")),
    "iron": (55.845, ("2498-4", "14798-3")),
    "haemoglobin": (16114.5, ("718-7", "59260-0")),
    "sodium": (22.990, ("2951-2", "2947-0")),
    "potassium": (39.098, ("2823-3", "6298-4")),
    "chloride": (35.45, ("2075-0", "2069-3")),
    "ammonia": (17.031, ("1841-6", "22763-7")),
    "ethanol": (46.069, ("5640-8", "5643-2")),
    "cortisol": (362.466, ("2143-6", "14675-3")),
    "testosterone": (288.431, ("2986-8", "14913-8")),
    "25-hydroxyvitamin D3": (400.647, ("1989-3", "14635-7")),
    "thyroxine, free": (776.870, ("3024-7", "14920-3")),
}  # fmt: skip

MOLAR_MASS: dict[str, float] = {code: mass for mass, codes in _MASSES.values() for code in codes}
