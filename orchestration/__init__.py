"""What runs, when and where: Dagster's definitions and the command line."""
