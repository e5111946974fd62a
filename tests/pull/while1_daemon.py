"""humbug-agent as it is, but that a fast server gets no rest between two requests."""

from humbug_agent.cli import main
from humbug_agent.sources.pull import while1

if __name__ == "__main__":
    while1.PAUSE = 0.0
    main()
