"""Where calls come from: one file a source."""

from humbug_agent.sources.asterisk_csv import AsteriskCsv

SOURCES = {"asterisk_csv": AsteriskCsv}
