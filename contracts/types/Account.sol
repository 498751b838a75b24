// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/*
 One account is one word, and so is any movement of points (then the middle fields are 0):

   255      240 239           216 215     211 210      209                                        0
   [ newest    | highest nonce   | window     | member | lane 5 | lane 4 | ... | lane 1 | lane 0   ]
     epoch, 16   24                5            1        six lanes of 35 bits

 Lane 0 holds the points of the newest epoch, lane i those of (newest - i). Lane 0 sits in the lowest bits, so that growing older by
 n epochs is one shift to the left by 35n: what leaves lane 5 has expired, and no lane is read or written by itself.
*/
type Account is uint256;

using {
    accountEpoch,
    accountLanes,
    accountIsMember,
    accountHighestNonce,
    accountBalance,
    accountBucket,
    accountBuckets,
    accountAged,
    accountCredited,
    accountSpent,
    accountSpentAt,
    accountNonceState,
    accountMayUseNonce,
    accountNonceUsed,
    accountWithMember
} for Account global;

uint256 constant VALIDITY_EPOCHS = 6;
uint256 constant EPOCH_MAX = type(uint16).max;
uint256 constant NONCE_MAX = type(uint24).max;
/// @dev An order's nonce may lie this far above the highest; with the window of five, none of those between is lost.
uint256 constant NONCE_AHEAD_MAX = 6;

uint256 constant LANE_BITS = 35;
uint256 constant LANE_MASK = (1 << 35) - 1;
uint256 constant LANES_MASK = (1 << 210) - 1;
/// @dev Lanes 3, 4 and 5.
uint256 constant OLDER_LANES_MASK = ((1 << 210) - 1) ^ ((1 << 105) - 1);
/// @dev The top bit of each of the six lanes.
uint256 constant LANE_TOPS =
    (1 << 34) | (1 << 69) | (1 << 104) | (1 << 139) | (1 << 174) | (1 << 209);
uint256 constant MEMBER_BIT = 1 << 210;
uint256 constant WINDOW_SHIFT = 211;
uint256 constant WINDOW_MASK = 31;
uint256 constant WINDOW_NONCES = 5;
uint256 constant NONCE_SHIFT = 216;
uint256 constant EPOCH_SHIFT = 240;
/// @dev Nonces, window and member bit: what neither ages nor moves.
uint256 constant MIDDLE_MASK = ((1 << 240) - 1) ^ ((1 << 210) - 1);

/// @dev What a nonce is to an account, in the order in which they are found out.
enum NonceState {
    UNUSED,
    USED,
    TOO_HIGH,
    EXHAUSTED
}

/// @dev The word runs backwards in time: an account newer than the epoch it shall be aged to.
error AccountFromTheFuture(uint256 newest, uint256 epoch);
/// @dev More epochs than 16 bits can count.
error EpochTooHigh(uint256 epoch);

function accountEpoch(Account account) pure returns (uint256) {
    return Account.unwrap(account) >> EPOCH_SHIFT;
}

function accountLanes(Account account) pure returns (uint256) {
    return Account.unwrap(account) & LANES_MASK;
}

function accountIsMember(Account account) pure returns (bool) {
    return Account.unwrap(account) & MEMBER_BIT != 0;
}

function accountHighestNonce(Account account) pure returns (uint256) {
    return (Account.unwrap(account) >> NONCE_SHIFT) & NONCE_MAX;
}

/// @dev Sum of the six lanes: the live balance, when the account was aged to the current epoch.
function accountBalance(Account account) pure returns (uint256 points) {
    uint256 word = Account.unwrap(account);
    // Six terms of at most 2^35: nothing here can overflow.
    unchecked {
        points = (word & LANE_MASK) + ((word >> 35) & LANE_MASK) + ((word >> 70) & LANE_MASK)
            + ((word >> 105) & LANE_MASK) + ((word >> 140) & LANE_MASK) + ((word >> 175) & LANE_MASK);
    }
}

/// @dev Points of one epoch; 0 outside the six epochs that the word holds.
function accountBucket(Account account, uint256 epoch) pure returns (uint256) {
    uint256 newest = account.accountEpoch();
    if (epoch > newest || newest - epoch >= VALIDITY_EPOCHS) return 0;
    return (Account.unwrap(account) >> (LANE_BITS * (newest - epoch))) & LANE_MASK;
}

/// @dev Lanes and epoch alone: the account as a movement.
function accountBuckets(Account account) pure returns (uint256) {
    return Account.unwrap(account) & (LANES_MASK | (EPOCH_MAX << EPOCH_SHIFT));
}

/// @dev The same account seen in `epoch`: lanes move up by the epochs that passed, what has expired is gone.
function accountAged(Account account, uint256 epoch) pure returns (Account) {
    uint256 newest = account.accountEpoch();
    if (newest == epoch) return account;
    if (epoch > EPOCH_MAX) revert EpochTooHigh(epoch);
    if (newest > epoch) revert AccountFromTheFuture(newest, epoch);
    uint256 word = Account.unwrap(account);
    // A shift by 256 bits or more gives 0, as it should.
    uint256 lanes = ((word & LANES_MASK) << (LANE_BITS * (epoch - newest))) & LANES_MASK;
    return Account.wrap((epoch << EPOCH_SHIFT) | (word & MIDDLE_MASK) | lanes);
}

/// @dev Adds lanes of the same epoch. `full` holds the top bit of each lane that overflowed; only when it is 0 may the result be used.
function accountCredited(Account account, uint256 lanes) pure returns (Account credited, uint256 full) {
    uint256 word = Account.unwrap(account);
    uint256 held = word & LANES_MASK;
    // Two numbers of 210 bits: the sum fits.
    uint256 sum;
    unchecked {
        sum = held + lanes;
    }
    // A full adder's carry out of each bit. The lowest lane that overflows shows at its own top bit, whatever it did to its neighbour.
    full = ((held & lanes) | ((held | lanes) & ~sum)) & LANE_TOPS;
    credited = Account.wrap((word & ~LANES_MASK) | (sum & LANES_MASK));
}

/// @dev Takes `points`, soonest to expire first (lane 5 down to lane 0). `missing` is what the account lacks; only when it is 0 may
/// the result be used. `taken` are the lanes that were taken.
function accountSpent(Account account, uint256 points)
    pure
    returns (Account rest, uint256 taken, uint256 missing)
{
    uint256 word = Account.unwrap(account);
    missing = points;
    // Without a loop, so that a transfer costs nearly the same over one epoch and over six. For each lane, what is missing after it is
    // max(missing - lane, 0), and the difference was taken from it: so nothing here goes under 0 or borrows from a neighbour.
    assembly ("memory-safe") {
        let lane
        let left
        if and(word, OLDER_LANES_MASK) {
            lane := and(shr(175, word), LANE_MASK)
            left := mul(sub(missing, lane), gt(missing, lane))
            taken := or(taken, shl(175, sub(missing, left)))
            missing := left
            lane := and(shr(140, word), LANE_MASK)
            left := mul(sub(missing, lane), gt(missing, lane))
            taken := or(taken, shl(140, sub(missing, left)))
            missing := left
            lane := and(shr(105, word), LANE_MASK)
            left := mul(sub(missing, lane), gt(missing, lane))
            taken := or(taken, shl(105, sub(missing, left)))
            missing := left
        }
        lane := and(shr(70, word), LANE_MASK)
        left := mul(sub(missing, lane), gt(missing, lane))
        taken := or(taken, shl(70, sub(missing, left)))
        missing := left
        lane := and(shr(35, word), LANE_MASK)
        left := mul(sub(missing, lane), gt(missing, lane))
        taken := or(taken, shl(35, sub(missing, left)))
        missing := left
        lane := and(word, LANE_MASK)
        left := mul(sub(missing, lane), gt(missing, lane))
        taken := or(taken, sub(missing, left))
        missing := left
        rest := sub(word, taken)
    }
}

/// @dev Takes `points` from the bucket of one epoch. `missing` as above.
function accountSpentAt(Account account, uint256 epoch, uint256 points)
    pure
    returns (Account rest, uint256 taken, uint256 missing)
{
    uint256 available = account.accountBucket(epoch);
    if (points > available) return (account, 0, points - available);
    if (points == 0) return (account, 0, 0);
    // A bucket that is not empty lies within the six epochs of the word, so neither subtraction goes under 0.
    unchecked {
        taken = points << (LANE_BITS * (account.accountEpoch() - epoch));
        rest = Account.wrap(Account.unwrap(account) - taken);
    }
}

/// @dev Window bit k says whether nonce (highest - 1 - k) was used. Nonce 0 counts as used from the start.
function accountNonceState(Account account, uint256 nonce) pure returns (NonceState) {
    if (nonce > NONCE_MAX) return NonceState.EXHAUSTED;
    uint256 highest = account.accountHighestNonce();
    if (nonce > highest) return nonce - highest > NONCE_AHEAD_MAX ? NonceState.TOO_HIGH : NonceState.UNUSED;
    uint256 back = highest - nonce;
    if (back == 0 || back > WINDOW_NONCES) return NonceState.USED;
    uint256 bit = (Account.unwrap(account) >> (WINDOW_SHIFT + back - 1)) & 1;
    return bit == 1 ? NonceState.USED : NonceState.UNUSED;
}

/// @dev Whether the state is UNUSED; the next nonce, which nearly every order carries, is found out first.
function accountMayUseNonce(Account account, uint256 nonce) pure returns (bool) {
    unchecked {
        uint256 ahead = nonce - account.accountHighestNonce();
        if (ahead == 1) return nonce <= NONCE_MAX;
    }
    return account.accountNonceState(nonce) == NonceState.UNUSED;
}

/// @dev Uses a nonce up that is UNUSED. The old highest becomes a bit of the window; what leaves the window stays used.
function accountNonceUsed(Account account, uint256 nonce) pure returns (Account) {
    uint256 word = Account.unwrap(account);
    uint256 highest = account.accountHighestNonce();
    if (nonce < highest) return Account.wrap(word | (1 << (WINDOW_SHIFT + highest - nonce - 1)));
    uint256 window = (word >> WINDOW_SHIFT) & WINDOW_MASK;
    window = (((window << 1) | 1) << (nonce - highest - 1)) & WINDOW_MASK;
    uint256 cleared = word & ~((WINDOW_MASK << WINDOW_SHIFT) | (NONCE_MAX << NONCE_SHIFT));
    return Account.wrap(cleared | (nonce << NONCE_SHIFT) | (window << WINDOW_SHIFT));
}

function accountWithMember(Account account, bool member) pure returns (Account) {
    uint256 word = Account.unwrap(account);
    return Account.wrap(member ? word | MEMBER_BIT : word & ~MEMBER_BIT);
}

/// @dev Epoch of the newest bucket of a movement, and its lanes: the layout of an account.
function bucketsWord(uint256 epoch, uint256 lanes) pure returns (uint256) {
    return (epoch << EPOCH_SHIFT) | lanes;
}
