"""`python -m provisioning` is the `twinroot` command."""

from provisioning.cli.entry import main

main()
