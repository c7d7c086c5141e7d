"""The words and rules of device registration. Pure: the standard library and msgspec, no I/O."""
