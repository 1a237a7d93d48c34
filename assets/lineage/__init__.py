"""Assets, their graph, their data versions and how they are made; knows no concrete asset."""
