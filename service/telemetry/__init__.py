"""What processes tell of themselves: metrics, traces, and the listener that metrics and probes are asked at."""
