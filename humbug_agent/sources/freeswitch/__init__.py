"""FreeSWITCH: mod_cdr_csv's Master.csv, documents in a directory or posted, and the event socket's hangups."""
