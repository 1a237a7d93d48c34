"""Where a checkpoint's weights come from."""
