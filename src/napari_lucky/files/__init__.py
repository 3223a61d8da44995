"""Files and folders: opened with care, written whole, and TOML."""
