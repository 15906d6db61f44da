"""The model: it blocks payments that are large for their customer."""


class Limits:
    """Blocks what exceeds a multiple of what the customer usually pays."""

    def __init__(self, times, unit=1.0):
        self.times = times
        self.unit = unit
        """What amounts are counted in, where 1 is a euro."""

    def predict(self, payments):
        return [amount / self.unit > self.times * usual for amount, usual in payments]
