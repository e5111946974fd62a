"""What a PBX host has: which PBX, how it is configured, and where its calls really are. It reads files, no more."""
