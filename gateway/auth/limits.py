"""How often a key may ask: a bucket of tokens a key, shared by all processes of a network.

A request takes one token. In a process the tokens come out of a small supply that is fetched from
the shared bucket at once (a tenth of a second's worth), so that a busy key costs ten statements a
second and not a thousand. On SQLite there is one process, and the bucket is in its memory.
"""

import math
import threading
import time
from dataclasses import dataclass

from sqlalchemy import text

from gateway.auth.keys import Role
from gateway.database import Database

SUPPLY_S = 0.1
"""Worth of tokens that a process fetches at once; what it does not use in a second is lost."""
SUPPLY_KEPT_S = 1.0
FETCHES_AT_ONCE = 16
"""Of different keys, more or less: keys share these locks by their names."""
KEYS_MAX = 50_000
"""Keys remembered in a process, about 10 MB; then all are forgotten and begin anew."""

_REFILL = text(
    """
    INSERT INTO rate_buckets (name, tokens, at)
    VALUES (:name, :burst, extract(epoch FROM clock_timestamp()))
    ON CONFLICT (name) DO UPDATE SET
        tokens = least(:burst, rate_buckets.tokens
            + greatest(excluded.at - rate_buckets.at, 0) * :per_s),
        at = excluded.at
    RETURNING tokens
    """
)
_TAKE = text("UPDATE rate_buckets SET tokens = tokens - :taken WHERE name = :name")


@dataclass(frozen=True, slots=True)
class Rate:
    """Tokens a second, and how many a rested key may take at once."""

    per_s: float
    burst: float


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


def _supply(bucket: _Bucket | None, now: float) -> float:
    """Tokens that a process has fetched and not used yet."""
    fresh = bucket is not None and now - bucket.at < SUPPLY_KEPT_S
    return bucket.tokens if bucket is not None and fresh else 0


class RateLimits:
    """Counts requests by key. Thread safe."""

    def __init__(self, database: Database | None, rate: Rate, members: Rate) -> None:
        """`database` None: this process counts for itself."""
        shared = database is not None and database.is_postgres
        self._database = database if shared else None
        self._rate = rate
        self._members = members
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()
        # One fetch of a key at a time: all who find the supply used up would each fetch one, and
        # empty the shared bucket for tokens that nobody uses.
        self._fetching = tuple(threading.Lock() for _ in range(FETCHES_AT_ONCE))

    @classmethod
    def of_process(cls, rate: Rate) -> "RateLimits":
        """One bucket a name, in this process alone."""
        return cls(None, rate, rate)

    def take(self, name: str, role: Role, many: int = 1) -> float | None:
        """0: go on. Seconds to wait where the key has asked too often. None: ask `fetch`.

        `many`: tokens that it costs, at most the burst.
        """
        rate = self.rate_of(role)
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.get(name)
            if self._database is not None:
                if _supply(bucket, now) >= many:
                    assert bucket is not None
                    bucket.tokens -= many
                    return 0
                return None
            if bucket is None:
                if len(self._buckets) >= KEYS_MAX:
                    self._buckets.clear()
                bucket = self._buckets[name] = _Bucket(rate.burst, now)
            bucket.tokens = min(rate.burst, bucket.tokens + (now - bucket.at) * rate.per_s)
            bucket.at = now
            if bucket.tokens < many:
                return (many - bucket.tokens) / rate.per_s
            bucket.tokens -= many
            return 0

    def fetch(self, name: str, role: Role, many: int = 1) -> float:
        """Fetches a supply from the shared bucket and takes `many` tokens of it.

        0, or the seconds to wait. Raises what the database raises.
        """
        with self._fetching[hash(name) % FETCHES_AT_ONCE]:
            # Who waited may find what the one before has fetched.
            found = self.take(name, role, many)
            return self._fetch(name, self.rate_of(role), many) if found is None else found

    def _fetch(self, name: str, rate: Rate, many: int) -> float:
        with self._lock:
            left = _supply(self._buckets.get(name), time.monotonic())
        needed = many - math.floor(left)
        supply = max(needed, math.floor(rate.per_s * SUPPLY_S))
        assert self._database is not None
        with self._database.write() as connection:
            # The row stays locked to the end, so two processes take one after the other; the
            # database's clock is the one that they share.
            values = {"name": name, "burst": rate.burst, "per_s": rate.per_s}
            tokens = float(connection.execute(_REFILL, values).scalar_one())
            taken = min(supply, math.floor(tokens))
            if taken < needed:
                return (needed - tokens) / rate.per_s
            connection.execute(_TAKE, {"name": name, "taken": taken})
        with self._lock:
            if len(self._buckets) >= KEYS_MAX:
                self._buckets.clear()
            self._buckets[name] = _Bucket(left + taken - many, time.monotonic())
        return 0

    def rate_of(self, role: Role) -> Rate:
        """What a key of this role may ask."""
        return self._members if role is Role.MEMBER else self._rate
