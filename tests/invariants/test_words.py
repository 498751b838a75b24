"""The packed account against plain lists of numbers: lanes at every edge, put into storage.

The proofs say it for every word (tests/proofs/account); these few hundred fail within a second.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
from banyan_kit.revm import Refused
from banyan_kit.wire import Key, to_bytes
from eth_hash.auto import keccak
from network_desk import Desk, buckets_of

ADA, BOB = (Key.from_seed(name) for name in ("ada", "bob"))
FULL = 2**35 - 1
EDGES = (0, 0, 0, 1, 2, 2**34 - 1, 2**34, 2**34 + 1, FULL - 1, FULL)
# Lanes of which some can take more: of nothing but edges nearly every transfer is refused.
MODEST = (0, 0, 1, 5, 1_000, 2**20)
NOW = 9
ACCOUNTS_SLOT, SUPPLY_SLOT, COALITION_SLOT = 0, 1, 7
# Obeyed by Points in the place of the Coalition, so that its calls can be made one by one.
CALLER = "0x" + "ca" * 20


@dataclass(frozen=True)
class Word:
    """An account as six numbers, lane 0 first, beside what the word holds besides."""

    newest: int = NOW
    lanes: tuple[int, ...] = (0,) * 6
    member: bool = True
    highest: int = 0
    window: int = 0

    def packed(self) -> int:
        low = sum(points << (35 * lane) for lane, points in enumerate(self.lanes))
        middle = self.member << 210 | self.window << 211 | self.highest << 216
        return self.newest << 240 | middle | low

    def aged(self) -> Word:
        """Seen in the epoch NOW."""
        passed = min(NOW - self.newest, 6)
        return replace(self, newest=NOW, lanes=(0,) * passed + self.lanes[: 6 - passed])

    def plus(self, lanes: tuple[int, ...]) -> Word:
        return replace(self, lanes=tuple(a + b for a, b in zip(self.lanes, lanes, strict=True)))

    def minus(self, lanes: tuple[int, ...]) -> Word:
        return self.plus(tuple(-points for points in lanes))

    def oldest(self, points: int) -> tuple[int, ...]:
        """What is taken for so many points, which are there: the soonest to expire first."""
        taken = [0] * 6
        for lane in range(5, -1, -1):
            taken[lane] = min(points, self.lanes[lane])
            points -= taken[lane]
        return tuple(taken)

    def buckets(self) -> dict[int, int]:
        """Points by epoch, empty ones left out."""
        return {NOW - lane: points for lane, points in enumerate(self.aged().lanes) if points}


@pytest.fixture(scope="module")
def desk() -> Desk:
    desk = Desk.open()
    desk.go_to_epoch(NOW)
    evm, points = desk.network.chain.evm, desk.network.points.address
    evm.insert_account_storage(points, COALITION_SLOT, int(CALLER, 16))
    return desk


def put(desk: Desk, slot: int, key: str | int, word: int) -> None:
    """Into a mapping of Points."""
    padded = to_bytes(key, 32).rjust(32, b"\0")
    place = int.from_bytes(keccak(padded + slot.to_bytes(32, "big")), "big")
    desk.network.chain.evm.insert_account_storage(desk.network.points.address, place, word)


def account(desk: Desk, member: Key) -> int:
    return int(desk.network.points.ask("accountOf", member.address))


def draw(drawn: random.Random, lanes: tuple[int, ...] = EDGES) -> Word:
    return Word(
        newest=NOW - drawn.choice((0, 0, 0, 1, 2, 5, 6, 7)),
        lanes=tuple(drawn.choice(lanes) for _ in range(6)),
        highest=drawn.randrange(2**24),
        window=drawn.randrange(32),
    )


def draw_pair(drawn: random.Random, desk: Desk) -> tuple[Word, Word]:
    """Ada's account and Bob's, as they stand in storage."""
    source = draw(drawn, drawn.choice((EDGES, MODEST)))
    target = draw(drawn, drawn.choice((EDGES, MODEST)))
    put(desk, ACCOUNTS_SLOT, ADA.address, source.packed())
    put(desk, ACCOUNTS_SLOT, BOB.address, target.packed())
    return source.aged(), target.aged()


def wanted(drawn: random.Random, lanes: tuple[int, ...]) -> int:
    """Points to ask for: around the sums at which the next lane begins."""
    sums = [sum(lanes[lane:]) for lane in range(6)]
    return max(0, drawn.choice((drawn.randint(0, sums[0] + 1), *sums)) + drawn.choice((-1, 0, 1)))


def full_lane(target: Word, taken: tuple[int, ...]) -> tuple[int, int] | None:
    """Epoch and points of the newest lane that cannot take what is given to it."""
    for lane, points in enumerate(taken):
        if target.lanes[lane] + points > FULL:
            return NOW - lane, points
    return None


def test_transfer__between_any_words__is_the_plain_sum_or_names_the_newest_full_bucket(
    desk: Desk,
) -> None:
    drawn = random.Random(210)
    seen = {"moved": 0, "full": 0, "too little": 0}
    for _ in range(160):
        source, target = draw_pair(drawn, desk)
        points = wanted(drawn, source.lanes)
        move = (ADA.address, "transfer", BOB.address, points)
        held = sum(source.lanes)
        taken = source.oldest(min(points, held))
        full = full_lane(target, taken)
        if points > held:
            why = ("ERC20InsufficientBalance", (ADA.address, held, points))
        elif full:
            why = ("BucketFull", (BOB.address, *full))
        else:
            desk.network.points.send(*move)
            assert account(desk, ADA) == source.minus(taken).packed()
            assert account(desk, BOB) == target.plus(taken).packed()
            seen["moved"] += 1
            continue
        with pytest.raises(Refused) as refused:
            desk.network.points.send(*move)
        assert (refused.value.name, refused.value.values) == why
        seen["too little" if points > held else "full"] += 1
    assert min(seen.values()) > 15, seen


def test_transfer_at_epoch__between_any_words__moves_one_lane_or_names_what_is_there(
    desk: Desk,
) -> None:
    drawn = random.Random(35)
    moved = 0
    for _ in range(120):
        source, target = draw_pair(drawn, desk)
        lane = drawn.randrange(6)
        points = max(0, source.lanes[lane] + drawn.choice((-5, -1, 0, 0, 1)))
        taken = tuple(points if i == lane else 0 for i in range(6))
        move = (ADA.address, "transferAtEpoch", NOW - lane, BOB.address, points)
        if points > source.lanes[lane]:
            why = ("BucketTooLow", (ADA.address, NOW - lane, source.lanes[lane], points))
        elif full := full_lane(target, taken):
            why = ("BucketFull", (BOB.address, *full))
        else:
            desk.network.points.send(*move)
            assert account(desk, ADA) == source.minus(taken).packed()
            assert account(desk, BOB) == target.plus(taken).packed()
            moved += 1
            continue
        with pytest.raises(Refused) as refused:
            desk.network.points.send(*move)
        assert (refused.value.name, refused.value.values) == why
    assert moved > 30


def test_reads__of_any_word__are_its_live_lanes(desk: Desk) -> None:
    drawn = random.Random(240)
    points = desk.network.points
    for _ in range(40):
        source, _ = draw_pair(drawn, desk)
        live = source.buckets()
        assert points.ask("balanceOf", ADA.address) == sum(live.values())
        word = points.ask("bucketsOf", ADA.address)
        assert (word >> 210, buckets_of(word)) == (NOW << 30, live)
        for epoch in (0, 1, NOW - 7, NOW - 6, *range(NOW - 5, NOW + 2), 2**256 - 1):
            assert points.ask("balanceOfAtEpoch", epoch, ADA.address) == live.get(epoch, 0)


def test_redeem_and_refund__of_any_word__take_the_oldest_and_give_them_back(desk: Desk) -> None:
    drawn = random.Random(6)
    points = desk.network.points
    for _ in range(50):
        source, _ = draw_pair(drawn, desk)
        supply = [drawn.randrange(2**40) + FULL for _ in range(6)]
        for lane, live in enumerate(supply):
            put(desk, SUPPLY_SLOT, NOW - lane, live << 128 | live)
        amount = min(wanted(drawn, source.lanes), sum(source.lanes))
        source = replace(source, highest=min(source.highest, 2**24 - 2))
        put(desk, ACCOUNTS_SLOT, ADA.address, source.packed())
        redeem = (CALLER, "redeem", ADA.address, amount, source.highest + 1)
        if not amount:
            with pytest.raises(Refused, match="ZeroPoints"):
                points.send(*redeem)
            continue
        taken = source.oldest(amount)
        word = points.send(*redeem)
        assert word == Word(lanes=taken, member=False).packed()
        used = replace(source, highest=source.highest + 1, window=(source.window << 1 | 1) & 31)
        assert account(desk, ADA) == used.minus(taken).packed()
        for lane, live in enumerate(supply):
            assert points.ask("supplyOfEpoch", NOW - lane) == (live, live - taken[lane])
        points.send(CALLER, "refund", ADA.address, word)
        assert account(desk, ADA) == used.packed()
        for lane, live in enumerate(supply):
            assert points.ask("supplyOfEpoch", NOW - lane) == (live, live)


def test_redeem__of_more_than_is_live_in_its_epoch__is_refused(desk: Desk) -> None:
    """No call leads there: an account and its epoch would have to disagree."""
    put(desk, ACCOUNTS_SLOT, ADA.address, Word(lanes=(10, 0, 0, 0, 0, 0)).packed())
    for live in (9, 10):
        put(desk, SUPPLY_SLOT, NOW, live << 128 | 50)
        call = (CALLER, "redeem", ADA.address, 10, 1)
        if live == 10:
            desk.network.points.send(*call)
            continue
        with pytest.raises(Refused) as refused:
            desk.network.points.send(*call)
        assert (refused.value.name, refused.value.values) == ("SupplyTooLow", (9, 10))
    assert desk.network.points.ask("supplyOfEpoch", NOW) == (50, 0)


def test_issue__to_an_account_from_the_future__is_refused(desk: Desk) -> None:
    """No call leads there either: time would have to run backwards."""
    put(desk, ACCOUNTS_SLOT, ADA.address, Word(newest=NOW + 1).packed())
    entry = to_bytes(ADA.address, 20) + (1).to_bytes(5, "big")
    with pytest.raises(Refused) as refused:
        desk.network.points.send(CALLER, "mintBatch", entry)
    assert (refused.value.name, refused.value.values) == ("AccountFromTheFuture", (NOW + 1, NOW))


# ---- nonces


def states(highest: int, window: int) -> dict[int, str | None]:
    """What an order with each of some nonces is refused with; None: it may be used."""
    found: dict[int, str | None] = {}
    for nonce in (0, *range(max(0, highest - 7), highest + 9), 2**24 - 1, 2**24, 2**64 - 1):
        back = highest - nonce
        if nonce > 2**24 - 1:
            found[nonce] = "NoncesExhausted"
        elif back < -6:
            found[nonce] = "NonceTooHigh"
        elif back == 0 or back > 5 or (back > 0 and window >> (back - 1) & 1):
            found[nonce] = "NonceUsed"
        else:
            found[nonce] = None
    return found


def after_use(source: Word, nonce: int) -> Word:
    """The account when it has used a nonce that it may use."""
    if nonce < source.highest:
        return replace(source, window=source.window | 1 << (source.highest - nonce - 1))
    window = (source.window << 1 | 1) << (nonce - source.highest - 1)
    return replace(source, highest=nonce, window=window & 31)


@pytest.mark.parametrize("highest", [0, 1, 5, 6, 100, 2**23, 2**24 - 7, 2**24 - 2, 2**24 - 1])
def test_use_nonce__around_any_window__uses_each_unused_once(desk: Desk, highest: int) -> None:
    points = desk.network.points
    for window in (0, 0b10101, 0b01010, 31, 1, 16):
        # Nonce 0 and what lies below it count as used.
        below = 31 << max(highest - 1, 0) & 31
        source = Word(lanes=(1, 2, 3, 4, 5, 6), highest=highest, window=window | below)
        for nonce, why in states(source.highest, source.window).items():
            put(desk, ACCOUNTS_SLOT, ADA.address, source.packed())
            assert points.ask("isNonceUsed", ADA.address, nonce) is (why == "NonceUsed")
            use = (CALLER, "useNonce", ADA.address, nonce)
            if why is None:
                points.send(*use)
                assert account(desk, ADA) == after_use(source, nonce).packed()
                continue
            with pytest.raises(Refused) as refused:
                points.send(*use)
            values = {"NoncesExhausted": (ADA.address,), "NonceUsed": (ADA.address, nonce)}
            too_high = (ADA.address, nonce, source.highest)
            assert refused.value.name == why
            assert refused.value.values == values.get(why, too_high)
