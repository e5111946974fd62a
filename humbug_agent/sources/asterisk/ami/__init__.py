"""The source type asterisk_ami: Cdr events over Asterisk's manager interface."""
