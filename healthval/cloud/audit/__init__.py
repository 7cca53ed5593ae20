"""Audit of CloudFormation templates: what a month without evaluations costs."""
