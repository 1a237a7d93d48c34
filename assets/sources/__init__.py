"""What comes in from outside: prompts and checkpoints."""
