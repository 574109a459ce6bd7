"""What an engine has computed, and how much of it was for something: the figures of both engines. No torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True, kw_only=True)
class Goodput:
    """Token positions, slots and seconds since the engine was made, or their sums over engines."""

    useful_tokens: int = 0
    """Positions computed once for a row that was finished: its prompt, and each of its tokens but the last."""
    padded_tokens: int = 0
    """Positions computed that hold no token of a row."""
    wasted_tokens: int = 0
    """Positions computed for rows that had ended, were begun again, or were given up, and for drafts in vain."""
    drafted_tokens: int = 0
    """Positions computed for tokens that might come next."""
    accepted_tokens: int = 0
    """Those of them that came: each saved its row a step."""
    shared_tokens: int = 0
    """Prompt positions that were not computed, because a shared prefix was there."""
    output_tokens: int = 0
    held_slots: int = 0
    """Rows in all forwards together."""
    all_slots: int = 0
    """Rows that all forwards together might have held; where the memory for keys and values ends first, it is fewer."""
    num_forwards: int = 0
    """Steps that the model has made: that it goes on, before a batch is done."""
    num_batches: int = 0
    """Padded batches of the static engine, forwards of the continuous one."""
    num_out_of_memory: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    """As the host sees them; a forward that does both is divided by its tokens."""
    seconds: float = 0.0
    """Of work in all, the rest of the host's included."""

    def __add__(self, other: Goodput) -> Goodput:
        return Goodput(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})

    def __sub__(self, before: Goodput) -> Goodput:
        """What came since `before`."""
        return Goodput(
            **{field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)}
        )

    def count_forward(self, seconds: float, *, decoded: float) -> None:
        """Count one forward of the continuous engine; `decoded` is the fraction of its tokens that were decoded."""
        self.num_batches += 1
        self.num_forwards += 1
        self.decode_seconds += seconds * decoded
        self.prefill_seconds += seconds * (1 - decoded)

    @property
    def useful(self) -> float:
        """The fraction of all computed positions that was useful; 1 where nothing was computed."""
        computed = self.useful_tokens + self.padded_tokens + self.wasted_tokens
        return self.useful_tokens / computed if computed else 1.0

    @property
    def occupancy(self) -> float:
        """The fraction of slots that held a row, forward by forward."""
        return self.held_slots / max(1, self.all_slots)

    def to_json(self) -> dict[str, float]:
        """All figures and both fractions."""
        plain = {name: round(value, 3) for name, value in asdict(self).items()}
        return {**plain, "useful": round(self.useful, 4), "occupancy": round(self.occupancy, 4)}
