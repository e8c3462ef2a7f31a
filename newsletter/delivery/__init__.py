"""issue → inbox: compose messages and deliver them, each exactly once."""
