"""Asterisk: its Master.csv, and AMI's Cdr events."""
