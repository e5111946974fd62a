"""What the outbox knows of sources that tell the same calls: that one of them is deaf, or that they disagree."""

from collections.abc import Iterator

from humbug_agent.codes import Code
from humbug_agent.config import Config
from humbug_agent.doctor.table import Finding
from humbug_agent.outbox.lock import running
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status import coverage


def findings(config: Config) -> Iterator[Finding]:
    """Nothing where no daemon runs: what one that is gone said last is not how things are. Raises OutboxError."""
    if running(config.agent.outbox) is None:
        return
    with Outbox(config.agent.outbox) as outbox:
        health = outbox.health()
        deaf = False
        for source in config.sources:
            stands = health.get(f"source {source.name}")
            if source.hears_asterisk and stands and stands.state == "ok" and stands.message:
                deaf = True
                yield Finding(
                    code=Code.DEAF, said=f"source {source.name} {stands.message}", part=f"source {source.name}"
                )
        if said := coverage.disagreement(outbox, config, deaf=deaf):
            yield Finding(code=Code.DISAGREE, said=said)
