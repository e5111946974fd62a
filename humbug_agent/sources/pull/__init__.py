"""Hosted PBXs that are asked for their calls over HTTP: while1, boxis, fusionpbx."""
