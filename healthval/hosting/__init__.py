"""The model container's server: /ping and /invocations, on AWS and as a child process alike."""
