"""The figures of many runs of one graph in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LATENCIES = ("p50", "p95", "p99")
SUMS = ("packets_in", "packets_out", "busy_s", "wait_input_s", "wait_credit_s", "cpu_s", "restarts")


def merged(parts: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The stages of all parts in one table: sums, the largest memory, and latencies as means over the packets."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for one in parts for name in one):
        rows = [one[name] for one in parts if name in one]
        packets = [row["packets_in"] for row in rows]
        whole = found[name] = dict(rows[0])
        for key in SUMS:
            whole[key] = round(sum(row[key] for row in rows), 6)
        whole["pss_peak"] = max(row["pss_peak"] for row in rows)
        whole["counts"] = _sums([row["counts"] for row in rows])
        whole["errors"] = [error for row in rows for error in row["errors"]]
        whole["latency_ms"] = {
            key: _mean([row["latency_ms"][key] for row in rows], packets) for key in rows[0]["latency_ms"]
        }
        whole["latency_ms"]["max"] = max(row["latency_ms"]["max"] for row in rows)
    return found


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    whole = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return round(whole / max(sum(weights), 1), 3)


def _sums(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {name: sum(one.get(name, 0) for one in counts) for name in {name for one in counts for name in one}}
