"""The destination type nats: a stream of NATS JetStream."""
