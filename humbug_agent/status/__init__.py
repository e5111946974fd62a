"""What `status`, the page and the metrics tell about the daemon and its outbox."""
