"""CSV imports: many issues from a file, resumable, with a file of what was refused and why."""
