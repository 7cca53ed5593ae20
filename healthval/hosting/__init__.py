"""Model container: HTTP server, artefact and child processes; the same on AWS and on one machine."""
