"""The model container's server: GET /ping, POST /invocations."""
