"""humbug-agent as it is, but that it gives a server no rest between two requests: a backfill must not take hours."""

from humbug_agent.cli.main import main
from humbug_agent.sources.boxis import source as boxis
from humbug_agent.sources.fusionpbx import source as fusionpbx

if __name__ == "__main__":
    boxis.PAUSE = fusionpbx.PAUSE = 0.0
    main()
