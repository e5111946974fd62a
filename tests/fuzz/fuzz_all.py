"""Every target by its name, which is that of its corpus."""

from collections.abc import Callable, Mapping

from tests.fuzz import fuzz_pbx, fuzz_places, fuzz_web

TARGETS: Mapping[str, Callable[[bytes], None]] = {**fuzz_pbx.TARGETS, **fuzz_web.TARGETS, **fuzz_places.TARGETS}
