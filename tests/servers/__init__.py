"""Real Valkey servers for tests: one alone, a cluster, a primary watched by Sentinels."""
