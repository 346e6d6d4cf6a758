"""The engine: graphs of stages, run. What a stage author and a program that runs graphs need is here."""

from graph.stage import Array, Caps, Output, Packet, Sink, Source, Stage, Value, Window, run_stage

__all__ = ["Array", "Caps", "Graph", "Output", "Packet", "Sink", "Source", "Stage", "Value", "Window", "run_stage"]


def __getattr__(name: str) -> object:
    """`Graph` is loaded when it is asked for: a worker never does, and needs none of what runs a graph."""
    if name == "Graph":
        from graph.runner import Graph

        return Graph
    raise AttributeError(f"module 'graph' has no attribute '{name}'")
