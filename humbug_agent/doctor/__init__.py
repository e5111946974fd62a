"""Finds what is wrong on a host as a whole: the PBX's configuration, the host, and the agent on it. Changes nothing."""
