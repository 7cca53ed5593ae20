"""FHIR R4 resources of the cases: from files, a server or a bulk export, read by views."""
