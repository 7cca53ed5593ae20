"""Audit of de-identified outputs; shares no code with the engine that makes them."""

from healthval.deid.audit.audit import Leak, audit

__all__ = ["Leak", "audit"]
