"""Models in service as metrics and events of OpenTelemetry.  The only module that imports its API.

    from modelvault.serving.exporters.opentelemetry import OpenTelemetry

    live = vault.live("fraud@prod", on_event=OpenTelemetry())

Where an alias points is told as the event ``feature_flag.evaluation`` of the semantic conventions, on the span that is
current, if there is one.  Say in spans of your own which version has answered: ``span.set_attribute("modelvault.version",
live.version)``.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.metrics import MeterProvider, get_meter

from modelvault.serving.events import Event

__all__ = ["OpenTelemetry"]


class OpenTelemetry:
    """A hook for `Vault.live`: its events and requests as metrics."""

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        """`meter_provider` is where the metrics go; the global one if left out."""
        meter = get_meter("modelvault", meter_provider=meter_provider)
        self._requests = meter.create_histogram(
            "modelvault.request.duration", unit="s", description="How long calls of the model took"
        )
        self._swaps = meter.create_counter(
            "modelvault.swap.count", unit="{swap}", description="What became of versions that the alias was moved to"
        )
        self._phases = meter.create_histogram(
            "modelvault.swap.duration", unit="s", description="How long the phases of a swap took"
        )
        self._rollbacks = meter.create_counter("modelvault.rollback.count", unit="{rollback}", description="Rollbacks")
        self._active = meter.create_gauge(
            "modelvault.active", unit="1", description="1 for the version in service, 0 for one that was"
        )
        self._age = meter.create_gauge(
            "modelvault.alias.age", unit="s", description="How long ago the store confirmed where the alias points"
        )
        self._serving: dict[tuple[str, str], str] = {}

    def __call__(self, event: Event) -> None:
        """Count an event."""
        alias = {"modelvault.model": event.model, "modelvault.alias": event.alias}
        self._serves(event, alias)
        if event.kind in {"loaded", "swapped", "held"}:
            self._swaps.add(1, alias | {"modelvault.result": event.kind})
        for phase, seconds in event.seconds.items():
            self._phases.record(seconds, {"modelvault.model": event.model, "modelvault.phase": phase})
        if event.kind == "rolled_back":
            self._rollbacks.add(1, alias | {"modelvault.cause": event.cause or "move"})
        trace.get_current_span().add_event(
            "feature_flag.evaluation",
            {
                "feature_flag.key": f"{event.model}@{event.alias}",
                "feature_flag.result.variant": event.version,
                "feature_flag.version": event.digest,
                "feature_flag.provider.name": "modelvault",
                "modelvault.event": event.kind,
            },
        )

    def requests(self, model: str, alias: str, version: str, outcome: str, seconds: Sequence[float]) -> None:
        """Count calls."""
        said = {"modelvault.model": model, "modelvault.alias": alias, "modelvault.version": version}
        for each in seconds:
            self._requests.record(each, said | {"modelvault.outcome": outcome})

    def age(self, model: str, alias: str, seconds: float) -> None:
        """Set the age of what is known of the alias."""
        self._age.set(seconds, {"modelvault.model": model, "modelvault.alias": alias})

    def _serves(self, event: Event, alias: dict[str, str]) -> None:
        key = event.model, event.alias
        before = self._serving.get(key)
        if before != event.version:
            if before is not None:
                self._active.set(0, alias | {"modelvault.version": before})
            self._active.set(1, alias | {"modelvault.version": event.version})
            self._serving[key] = event.version
