"""A first spec, drafted from data that lies there."""
