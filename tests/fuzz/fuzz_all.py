"""Every target by its name, which is that of its corpus."""

import logging
from collections.abc import Callable, Mapping

import fuzz_pbx
import fuzz_web

TARGETS: Mapping[str, Callable[[bytes], None]] = {**fuzz_pbx.TARGETS, **fuzz_web.TARGETS}

# What the parsers say of each input is no news.
logging.getLogger("humbug_agent").addHandler(logging.NullHandler())
logging.getLogger("humbug_agent").propagate = False
