"""Whether what the PBX has is in the outbox, and whether every destination has it: counted day by day."""
