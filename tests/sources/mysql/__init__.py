"""The source mysql, against real MariaDBs."""
