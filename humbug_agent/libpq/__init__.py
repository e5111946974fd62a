"""What all who reach a PostgreSQL server over libpq go by: whom it trusts."""
