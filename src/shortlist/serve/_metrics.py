"""Counters and histograms for /metrics."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

from shortlist.pipeline import Trace
from shortlist.types import Candidates, Requests

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """What one process counts; several workers add theirs up through ``PROMETHEUS_MULTIPROC_DIR``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "shortlist_requests", "HTTP requests", ["method", "route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "shortlist_request_seconds", "Time to answer", ["route"], buckets=_BUCKETS, registry=self.registry
        )
        self.stages = Histogram(
            "shortlist_stage_seconds", "Time in a stage", ["stage"], buckets=_BUCKETS, registry=self.registry
        )
        self.failed = Counter(
            "shortlist_failed_channels", "Answers a channel was missing from", ["channel"], registry=self.registry
        )
        self.events = Counter("shortlist_events", "Events posted", ["outcome"], registry=self.registry)

    def observe(self, requests: Requests, slates: Candidates, trace: Trace) -> None:
        """Counts what one answer took: an ``Observer``."""
        for stage, seconds in trace.seconds.items():
            self.stages.labels(stage).observe(seconds)
        for channel in trace.failed:
            self.failed.labels(channel).inc()

    def text(self) -> bytes:
        """The Prometheus text format, all workers together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)
        return generate_latest(together)
