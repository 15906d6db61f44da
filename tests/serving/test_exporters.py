"""The metrics of a model in service, as real clients collect them and a real endpoint serves them."""

import subprocess
import sys
import urllib.request

import pytest

from modelvault.serving import Exporter
from modelvault.stores.local import LocalStore
from modelvault.vault import Vault

from .models import ROWS, Fails, classifiers, until


@pytest.fixture
def vault(tmp_path):
    vault = classifiers(Vault(LocalStore(tmp_path / "vault"), cache=tmp_path / "cache"))
    vault.publish("m", Fails(), version="2.0.0")
    return vault


def lived(vault, exporter):
    """What happens to a model: two swaps, one that fails, calls, one of which fails."""
    live = vault.live("m@prod", refresh=None, isolate=False, on_event=exporter)
    live.predict(ROWS)
    vault.promote("m@prod", "1.1.0", reason="x")
    live.refresh()
    for _ in range(3):
        live.predict(ROWS)
    live.model.coef_ = None
    with pytest.raises((AttributeError, TypeError)):
        live.predict(ROWS)
    vault.promote("m@prod", "2.0.0", reason="x")
    live.refresh()
    return live


def scraped(at):
    with urllib.request.urlopen(f"http://127.0.0.1:{at}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_prometheus_scrapes_what_has_happened(vault):
    from prometheus_client import CollectorRegistry, start_http_server

    from modelvault.serving.exporters.prometheus import Prometheus

    registry = CollectorRegistry()
    exporter = Prometheus(registry)
    assert isinstance(exporter, Exporter)
    server, thread = start_http_server(0, "127.0.0.1", registry=registry)
    try:
        live = lived(vault, exporter)
        alias = 'alias="prod",model="m"'

        def called(outcome, version):
            return f'modelvault_requests_total{{alias="prod",model="m",outcome="{outcome}",version="{version}"}}'

        until(lambda: scraped(server.server_port).get(called("error", "1.1.0")))
        found = scraped(server.server_port)
        assert found[f'modelvault_active{{{alias},version="1.1.0"}}'] == 1
        assert found[f'modelvault_active{{{alias},version="1.0.0"}}'] == 0
        assert found[f'modelvault_swaps_total{{{alias},result="loaded"}}'] == 1
        assert found[f'modelvault_swaps_total{{{alias},result="swapped"}}'] == 1
        assert found[f'modelvault_swaps_total{{{alias},result="held"}}'] == 1
        assert found[called("ok", "1.0.0")] == 1
        assert found[called("ok", "1.1.0")] == 3
        assert found[called("error", "1.1.0")] == 1
        assert found['modelvault_request_seconds_count{alias="prod",model="m",outcome="ok",version="1.1.0"}'] == 3
        assert found['modelvault_swap_seconds_count{model="m",phase="check"}'] == 2
        assert 0 <= found[f"modelvault_alias_age_seconds{{{alias}}}"] < 60
        live.close()
        Prometheus(registry)  # a second handle of this process
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


SEVERAL = """
import os, sys
from modelvault import open as opened
from modelvault.serving.exporters.prometheus import Prometheus
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

live = opened(sys.argv[1], cache=False).live("m@prod", refresh=None, on_event=Prometheus())
for _ in range(2):
    if os.fork() == 0:
        live.predict([[0.0, 0.0, 0.0]])
        live.close()
        os._exit(0)
for _ in range(2):
    os.wait()
live.close()
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_prometheus_adds_up_over_the_processes_of_a_server(vault, tmp_path):
    import os

    (tmp_path / "metrics").mkdir()
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    command = [sys.executable, "-c", SEVERAL, str(tmp_path / "vault")]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert 'modelvault_requests_total{alias="prod",model="m",outcome="ok",version="1.0.0"} 2.0' in out
    assert 'modelvault_active{alias="prod",model="m",version="1.0.0"} 1.0' in out


def test_opentelemetry_collects_what_has_happened(vault):
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from modelvault.serving.exporters.opentelemetry import OpenTelemetry

    reader, spans, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    provider = MeterProvider([reader])
    exporter = OpenTelemetry(provider)
    assert isinstance(exporter, Exporter)
    with tracers.get_tracer("test").start_as_current_span("start"):
        live = lived(vault, exporter)
    live.close()
    (resource,) = reader.get_metrics_data().resource_metrics
    (scope,) = resource.scope_metrics
    found = {metric.name: metric for metric in scope.metrics}
    points = {
        name: {
            tuple(value for _, value in sorted(point.attributes.items())): point for point in metric.data.data_points
        }
        for name, metric in found.items()
    }
    assert found["modelvault.request.duration"].unit == "s"
    assert points["modelvault.request.duration"]["prod", "m", "ok", "1.1.0"].count == 3
    assert points["modelvault.request.duration"]["prod", "m", "error", "1.1.0"].count == 1
    assert found["modelvault.swap.count"].unit == "{swap}"
    assert points["modelvault.swap.count"]["prod", "m", "held"].value == 1
    assert points["modelvault.active"]["prod", "m", "1.0.0"].value == 0
    assert points["modelvault.active"]["prod", "m", "1.1.0"].value == 1
    (span,) = spans.get_finished_spans()
    said = span.events[0]
    assert said.name == "feature_flag.evaluation"
    assert said.attributes["feature_flag.key"] == "m@prod"
    assert said.attributes["feature_flag.result.variant"] == "1.0.0"
    assert said.attributes["feature_flag.version"] == vault.version("m:1.0.0").digest
    provider.shutdown()
    tracers.shutdown()


def test_neither_is_imported_by_a_live_handle(vault, tmp_path):
    code = (
        "import sys, modelvault\n"
        f"modelvault.open({str(tmp_path / 'vault')!r}, cache=False).live('m@prod', refresh=None)\n"
        "assert not {'prometheus_client', 'opentelemetry', 'logging.config'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
