"""Bindings that are kept at an upstream: applied, reconciled, read through, adopted and audited there."""
