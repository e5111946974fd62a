"""The host that the agent lives on beside the PBX: its systemd, its users, and giving way to the PBX."""
