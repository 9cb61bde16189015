"""tasks DOES the launch: one file a step, the chain on one screen, and undo."""
