"""Two versions in service at once: who gets which, and which of them is worse.

A canary serves a share of the keys.  Each bad event is a coin that came from the new version or from the other; under "its
rate is at most (1 + tolerance) times that of the other" the new one's share of them is at most
`evidence.concurrent_limit`, whatever the rate is at the time: both arms swing alike.

A shadow serves nobody.  It answers some of the inputs once more, off the way of the calls, and the losses of both are
compared in pairs: ``x = (loss_new - loss_old + 1) / 2`` has a mean of at most ``(1 + tolerance) / 2`` if the new one loses
at most `tolerance` more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from modelvault.errors import Code, InvalidInput, shown
from modelvault.serving.evidence import Counts, Look, concurrent_limit, log_evidence

__all__ = ["Arms", "Split", "paired_loss"]

_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Split:
    """A share of all keys, always the same for one key and one `salt`, and more of the same as the share grows."""

    share: float
    salt: str = ""

    def __post_init__(self) -> None:
        """Check the share.

        Raises:
            InvalidInput: `bad-value`.
        """
        if type(self.share) not in {int, float} or not 0 < self.share < 1:
            raise InvalidInput(
                f"share is a number between 0 and 1, not {shown(self.share)}", code=Code.BAD_VALUE, hint="share=0.05"
            )

    def takes(self, key: object) -> bool:
        """`key`, a text or a number, is one of them."""
        told = key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
        hashed = hashlib.blake2b(told, key=self.salt.encode()[:64], digest_size=_BITS // 8).digest()
        return int.from_bytes(hashed, "big") < self.share * float(1 << _BITS)


@dataclass(slots=True)
class Arms:
    """The bad events of both arms, of one guard; the new one has at most `share` of the traffic."""

    share: float
    tolerance: float
    counts: Counts = field(default_factory=Counts)

    @property
    def m(self) -> float:
        """What share of the bad events may be the new one's."""
        return concurrent_limit(self.share, self.tolerance)

    def see(self, new: int, old: int) -> None:
        """So many bad events there are by now, of each."""
        self.counts.add(new + old - self.counts.n, new - self.counts.bad)

    def look(self, alpha: float) -> Look:
        """The evidence that the new one is worse; an epoch that is long enough ends."""
        look = self.counts.look(self.m, alpha)
        self.counts.turn(self.m)
        return look

    def no_worse(self) -> float:
        """The log of the evidence that it is not: that too many of the bad events are the other's."""
        return log_evidence(self.counts.n, self.counts.n - self.counts.bad, 1 - self.m)


def paired_loss(new: float, old: float) -> float:
    """Two losses from 0 to 1 as one number from 0 to 1: more than a half where the new one loses more.

    Raises:
        InvalidInput: `bad-value`.
    """
    if 0 <= new <= 1 and 0 <= old <= 1:
        return (new - old + 1) / 2
    raise InvalidInput(f"a loss is from 0 to 1, not {shown(new)} or {shown(old)}", code=Code.BAD_VALUE, hint="scale it")
