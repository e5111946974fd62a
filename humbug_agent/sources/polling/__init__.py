"""Asking a hosted PBX's HTTP API for its calls, again and again."""
