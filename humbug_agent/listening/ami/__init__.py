"""Asterisk's manager interface (AMI): one connection that is always read and never given up."""
