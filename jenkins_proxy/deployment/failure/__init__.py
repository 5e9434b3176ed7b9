"""What a command that fails, or was broken off, leaves in order: revert, resume, records, logs."""
