"""Telephone numbers: E.164, and the countries that they belong to."""
