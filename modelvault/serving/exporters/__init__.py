"""What happens to models in service, for those who collect metrics.  Each module here needs an extra of its own."""
