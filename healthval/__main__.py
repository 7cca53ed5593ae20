"""`python -m healthval` and the `healthval` command."""

from healthval.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
