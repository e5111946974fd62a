"""The outbox: the one SQLite file with calls, deliveries, cursors and rejects, and all SQL that touches it."""
