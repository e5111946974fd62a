"""humbug-agent as it is, but that a fast server gets no rest between two requests."""

from humbug_agent.cli.main import main
from humbug_agent.sources.while1 import source

if __name__ == "__main__":
    source.PAUSE = 0.0
    main()
