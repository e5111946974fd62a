"""Connections to a PBX that are kept open for as long as the daemon runs: Asterisk's AMI, FreeSWITCH's event socket."""
