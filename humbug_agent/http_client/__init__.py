"""HTTP requests over kept connections: requests, and nothing that it would do on its own account."""
