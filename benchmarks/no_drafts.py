"""Costs under which the continuous engine drafts nothing, for what is compared with drafts or must not have any."""


class NeverPay:
    """No acceptance is enough."""

    def observe(self, *, decoded: int, seconds: float) -> None: ...

    def least_acceptance(self, num_rows: int) -> float:
        return 2.0
