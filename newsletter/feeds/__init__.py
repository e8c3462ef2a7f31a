"""feeds → entries: fetch bytes, parse documents, recognise what is new."""
