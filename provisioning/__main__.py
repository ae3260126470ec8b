"""`python -m provisioning` is the `twinroot` command."""

from provisioning.cli.main import main

main()
