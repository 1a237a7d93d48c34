"""The study file: its parts, its checkpoints, where its texts come from, and what comes later."""
