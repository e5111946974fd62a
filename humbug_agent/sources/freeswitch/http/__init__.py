"""The source type freeswitch_http: the documents that those modules post."""
