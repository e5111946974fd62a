"""The source type asterisk_csv: Master.csv as Asterisk's cdr_csv writes it."""
