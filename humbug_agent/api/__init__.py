"""Stored calls, for programs that ask for them as they ask a hosted PBX: served when agent.ini has [api]."""
