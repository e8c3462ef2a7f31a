"""entries → issue: build, sanitise, render."""
