"""Moving a Service: out of the store and into it, from an upstream, and away from one."""
