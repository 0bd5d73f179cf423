"""`python -m proxy` is the program `mailweir`."""

from proxy.cli import main

main()
