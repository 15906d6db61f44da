"""Models in service as metrics of Prometheus.  The only module that imports prometheus_client.

    from modelvault.serving.exporters.prometheus import Prometheus

    live = vault.live("fraud@prod", on_event=Prometheus())

Works with several processes, too (``PROMETHEUS_MULTIPROC_DIR``): nothing here is an Info or an Enum, and no label is ever
removed; a version that no longer serves has ``modelvault_active 0``.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from modelvault.serving.events import Event

__all__ = ["Prometheus"]

_RESULTS = {"loaded": "loaded", "swapped": "swapped", "held": "held"}
_REQUESTS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PHASES = (0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
"""Upper bounds in seconds."""


class _Metrics:
    """The metrics of one registry, which takes each name once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        alias = ["model", "alias"]
        version = [*alias, "version"]
        self.active = Gauge(
            "modelvault_active",
            "1 for the version in service, 0 for one that was",
            version,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.age = Gauge(
            "modelvault_alias_age_seconds",
            "How long ago the store confirmed where the alias points",
            alias,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.swaps = Counter(
            "modelvault_swaps_total", "What became of versions that the alias was moved to", [*alias, "result"], registry=registry
        )  # fmt: skip
        self.swap_seconds = Histogram(
            "modelvault_swap_seconds", "How long the phases of a swap took", ["model", "phase"], registry=registry, buckets=_PHASES
        )  # fmt: skip
        self.requests = Counter(
            "modelvault_requests_total", "Calls of the model", [*version, "outcome"], registry=registry
        )
        self.request_seconds = Histogram(
            "modelvault_request_seconds", "How long calls took", [*version, "outcome"], registry=registry, buckets=_REQUESTS
        )  # fmt: skip
        self.evidence = Gauge(
            "modelvault_guard_evidence",
            "log10 of the evidence against the version in service",
            [*version, "guard"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.rollbacks = Counter("modelvault_rollbacks_total", "Rollbacks", [*alias, "cause"], registry=registry)


_made: WeakKeyDictionary[CollectorRegistry, _Metrics] = WeakKeyDictionary()


class Prometheus:
    """A hook for `Vault.live`: its events and requests as metrics."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """`registry` is where the metrics are collected; several handles may have exporters of one registry."""
        if registry not in _made:
            _made[registry] = _Metrics(registry)
        self._metrics = _made[registry]
        self._active: dict[tuple[str, str], str] = {}

    def __call__(self, event: Event) -> None:
        """Count an event."""
        metrics, alias = self._metrics, (event.model, event.alias)
        self._serves(alias, event.version)
        if event.kind in _RESULTS:
            metrics.swaps.labels(*alias, _RESULTS[event.kind]).inc()
        for phase, seconds in event.seconds.items():
            metrics.swap_seconds.labels(event.model, phase).observe(seconds)
        if event.kind == "rolled_back":
            metrics.rollbacks.labels(*alias, event.cause or "move").inc()

    def requests(self, model: str, alias: str, version: str, outcome: str, seconds: Sequence[float]) -> None:
        """Count calls."""
        labels = (model, alias, version, outcome)
        self._metrics.requests.labels(*labels).inc(len(seconds))
        observe = self._metrics.request_seconds.labels(*labels).observe
        for each in seconds:
            observe(each)

    def age(self, model: str, alias: str, seconds: float) -> None:
        """Set the age of what is known of the alias."""
        self._metrics.age.labels(model, alias).set(seconds)

    def evidence(self, model: str, alias: str, version: str, guard: str, log10: float) -> None:
        """Set the evidence of a guard."""
        self._metrics.evidence.labels(model, alias, version, guard).set(log10)

    def _serves(self, alias: tuple[str, str], version: str) -> None:
        before = self._active.get(alias)
        if before != version:
            if before is not None:
                self._metrics.active.labels(*alias, before).set(0)
            self._metrics.active.labels(*alias, version).set(1)
            self._active[alias] = version
