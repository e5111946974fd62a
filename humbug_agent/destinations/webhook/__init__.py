"""The destination type webhook: signed JSON to any URL."""
