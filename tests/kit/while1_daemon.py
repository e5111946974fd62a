"""humbug-agent as it is, but that a fast server gets no rest between two requests."""

from humbug_agent.cli.main import main
from humbug_agent.sources.while1 import source as while1

if __name__ == "__main__":
    while1.PAUSE = 0.0
    main()
