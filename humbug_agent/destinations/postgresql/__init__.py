"""The destination type postgresql: a table in a PostgreSQL database."""
