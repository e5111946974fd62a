"""FreeSWITCH's event socket (ESL, mod_event_socket): one connection that is always read."""
