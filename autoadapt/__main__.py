"""``python -m autoadapt``: the command line."""

from autoadapt.cli.main import main

if __name__ == "__main__":
    main()
