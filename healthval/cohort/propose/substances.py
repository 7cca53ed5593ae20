"""Molar masses of common laboratory substances, by the LOINC codes of their measurements.

Codes and their units: LOINC 2.67 as published in LHNCBC/loinc-mapping-validator (`loinc_unit.json`); pairs
of a mass and an amount concentration also in miracum/loinc-conversion (`conversion.tsv`). Masses: the
formula (PubChem) and the standard atomic weights of IUPAC (2021, abridged to five figures). By the custom
of laboratories, urea nitrogen is two atoms of nitrogen, phosphate one atom of phosphorus, lactate lactic
acid and triglycerides triolein; haemoglobin is the monomer, 16,114.5 g/mol (IFCC 2007).
"""

from __future__ import annotations

import re

_WEIGHTS = {
    "H": 1.008, "C": 12.011, "N": 14.007, "O": 15.999, "Na": 22.990, "Mg": 24.305, "P": 30.974,
    "Cl": 35.45, "K": 39.098, "Ca": 40.078, "Fe": 55.845, "I": 126.90,
}  # fmt: skip
# Substance: its formula, and codes of its concentration in blood, serum or plasma.
_SUBSTANCES: dict[str, tuple[str, str]] = {
    "glucose": ("C6H12O6", "2345-7 2339-0 14749-6 15074-8 41653-7 1558-6 1557-8"),
    "creatinine": ("C4H7N3O", "2160-0 14682-9 38483-4"),
    "urea nitrogen": ("N2", "3094-0 6299-2"),
    "urea": ("CH4N2O", "3091-6 22664-7"),
    "lactate": ("C3H6O3", "2524-7 2518-9 32693-4 14118-4 59032-3"),
    "cholesterol": ("C27H46O", "2093-3 14647-2 2085-9 14646-4 13457-7 22748-8 2089-1"),
    "triglycerides": ("C57H104O6", "2571-8 14927-8"),
    "bilirubin": ("C33H36N4O6", "1975-2 14631-6 1968-7 14629-0"),
    "calcium": ("Ca", "17861-6 2000-8 1994-3 1995-0"),
    "magnesium": ("Mg", "19123-9 2601-3"),
    "phosphorus": ("P", "2777-1 14879-1"),
    "urate": ("C5H4N4O3", "3084-1 14933-6"),
    "iron": ("Fe", "2498-4 14798-3"),
    "sodium": ("Na", "2951-2 2947-0"),
    "potassium": ("K", "2823-3 6298-4"),
    "chloride": ("Cl", "2075-0 2069-3"),
    "ammonia": ("NH3", "1841-6 22763-7"),
    "ethanol": ("C2H6O", "5640-8 5643-2"),
    "cortisol": ("C21H30O5", "2143-6 14675-3"),
    "testosterone": ("C19H28O2", "2986-8 14913-8"),
    "25-hydroxyvitamin D3": ("C27H44O2", "1989-3 14635-7"),
    "thyroxine, free": ("C15H11I4NO4", "3024-7 14920-3"),
}  # fmt: skip
HBA1C = frozenset({"4548-4", "17856-6", "59261-8", "41995-2", "71875-9", "62388-4"})
_HAEMOGLOBIN = dict.fromkeys(("718-7", "59260-0"), 16114.5)


def molar_mass(formula: str) -> float:
    """Molar mass in g/mol of a formula without parentheses.

    >>> round(molar_mass("C6H12O6"), 3)
    180.156
    """
    atoms = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    return sum(_WEIGHTS[atom] * int(count or 1) for atom, count in atoms)


MOLAR_MASS: dict[str, float] = _HAEMOGLOBIN | {
    code: molar_mass(formula) for formula, codes in _SUBSTANCES.values() for code in codes.split()
}
