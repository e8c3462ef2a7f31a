"""`python -m newsletter` is `newsletter`."""

from newsletter.cli import main

if __name__ == "__main__":
    main()
