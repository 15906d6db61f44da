"""A model in service: what is counted of it, and what follows."""
