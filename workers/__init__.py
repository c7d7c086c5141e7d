"""The workers: arq processes that apply what is owed in the ledgers."""
