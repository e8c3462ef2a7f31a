"""The memory of a project: entries, issues, the outbox."""
