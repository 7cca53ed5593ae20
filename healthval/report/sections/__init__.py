"""Sections of the report: one module per section, named after the section's anchor.

The section `provenance` is in `healthval.report.proof.provenance`, beside the crate and the seal.
"""
