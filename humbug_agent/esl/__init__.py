"""FreeSWITCH's event socket (ESL, mod_event_socket).

`link` keeps a connection and tells listeners what comes; `client` is one connection; `frames` and `event` its bytes.
"""
