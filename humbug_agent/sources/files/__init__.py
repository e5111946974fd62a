"""Following a log of the PBX through growth, rotation, packing, truncation and absence.

A source that reads one is a `LogSource`; freeswitch/csv, whose calls have ids, is the one to begin from, asterisk/csv
shows what it takes to tell records apart that are equal to the byte. A home says how bytes are split into records. An
unfinished record is left for the next time, but never one that is longer than any call's, or reading would stand still
there: `Endless` makes one reject of it, however long. With the first visit of each file a batch is handed over even
where nothing is in it, so that a stop is noticed.
"""
