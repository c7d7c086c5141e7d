"""`python -m service.cli` is `bindery`."""

from service.cli import main

main(prog_name="bindery")
