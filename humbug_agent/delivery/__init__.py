"""Delivery: takes from the outbox what is due, has a destination send it, and marks what became of it."""
