"""The engine: graphs of stages, run."""
