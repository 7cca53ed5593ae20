"""Predictions: batches of requests; queues and leases; calls of the model; files and their check."""
