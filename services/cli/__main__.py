"""`python -m services.cli` is `keelwatch`."""

from services.cli.app import main

main()
