"""What tests share: servers, recordings, waits, each once."""
