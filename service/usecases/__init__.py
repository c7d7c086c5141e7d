"""What callers can ask of a Service, free of HTTP and of Redis."""
