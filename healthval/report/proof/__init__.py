"""Proof of a report: provenance, attestation, PDF signature and the keys that are trusted."""
