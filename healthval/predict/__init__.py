"""Sends de-identified cases, pairs the answers."""
