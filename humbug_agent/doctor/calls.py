"""What the outbox knows of sources that tell the same calls: that one of them is deaf, or that they disagree."""

from collections.abc import Iterator

from humbug_agent.config import Config
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.outbox.lock import running
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status import coverage


def findings(config: Config) -> Iterator[Finding]:
    """Nothing where no daemon runs: what one that is gone said last is not how things are. Raises OutboxError."""
    if running(config.agent.outbox) is None:
        return
    with Outbox(config.agent.outbox) as outbox:
        for part, message in _deaf(outbox, config).items():
            yield Finding(code=Code.DEAF, said=f"{part} {message}", part=part)
        yield from of_numbers(outbox, config)


def of_numbers(outbox: Outbox, config: Config) -> Iterator[Finding]:
    """Raises OutboxError."""
    if said := coverage.disagreement(outbox, config, deaf=bool(_deaf(outbox, config))):
        yield Finding(code=Code.DISAGREE, said=said)


def _deaf(outbox: Outbox, config: Config) -> dict[str, str]:
    """What the daemon says of sources that are well, and miss calls all the same; by "source NAME"."""
    health = outbox.health()
    stands = (health.get(f"source {one.name}") for one in config.sources if one.hears_asterisk)
    return {one.part: one.message for one in stands if one and one.state == "ok" and one.message}
