"""Numbers in Prometheus's text format. What is not known has no sample: a 0 would be a statement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Samples = Iterable[tuple[Sequence[str], float | None]]
"""Label values and a value; None is left out."""


@dataclass(frozen=True, slots=True)
class _Collected:
    """The metrics of one answer, in the form in which prometheus_client takes them."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def exposition(families: Sequence[Metric]) -> tuple[bytes, str]:
    """The body of an answer, and its content type."""
    return generate_latest(_Collected(families)), CONTENT_TYPE_PLAIN_0_0_4


def gauge(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), samples)


def counter(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples:
        if value is not None:
            family.add_metric(labels, value)
    return family
