"""The source type freeswitch_csv: Master.csv as FreeSWITCH's mod_cdr_csv writes it."""
