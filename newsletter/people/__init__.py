"""The people who get the issues."""
