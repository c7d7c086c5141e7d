"""The registration store: desired and observed state of every Service, decided by scripts that are transactions."""
