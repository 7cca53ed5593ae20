"""Batches: many runs of notebooks, resumable, on one machine or on a Dask cluster."""
