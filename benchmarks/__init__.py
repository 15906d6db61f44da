"""Measurements, side by side with the packages that do part of the same; see `README.md`."""
