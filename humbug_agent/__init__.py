"""humbug-agent: brings every call record of a PBX to a Humbug receiver."""

__version__ = "0.1.0"
