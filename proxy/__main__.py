"""`python -m proxy` is the program `mailweir`."""

from proxy.parent import follow

if __name__ == "__main__":
    follow()
    from proxy.cli import main

    main()
