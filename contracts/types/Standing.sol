// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/*
 What a merchant has with the network, in one word, because an issue or a redemption reads and writes nothing else of a merchant:

   255    248 247            232 231    224 223            128 127        0
   [ 0, 8    | leaving since   | status   | credit limit     | position   ]
               epoch, 16         8          96                 128, signed
*/
type Standing is uint256;

using {
    standingPosition,
    standingLimit,
    standingStatus,
    standingLeavingSince,
    standingWithPosition,
    standingWithLimit,
    standingWithStatus,
    standingWithLeavingSince
} for Standing global;

uint256 constant POSITION_MASK = type(uint128).max;
uint256 constant LIMIT_SHIFT = 128;
uint256 constant LIMIT_MASK = type(uint96).max;
uint256 constant STATUS_SHIFT = 224;
uint256 constant STATUS_MASK = type(uint8).max;
uint256 constant LEAVING_SHIFT = 232;
uint256 constant LEAVING_MASK = type(uint16).max;

/// @dev The position leaves the 128 bits that it has.
error PositionOutOfRange(int256 position);
/// @dev The limit leaves the 96 bits that it has.
error LimitOutOfRange(uint256 limit);

function standingPosition(Standing standing) pure returns (int256) {
    return int128(uint128(Standing.unwrap(standing)));
}

function standingLimit(Standing standing) pure returns (uint256) {
    return (Standing.unwrap(standing) >> LIMIT_SHIFT) & LIMIT_MASK;
}

function standingStatus(Standing standing) pure returns (uint256) {
    return (Standing.unwrap(standing) >> STATUS_SHIFT) & STATUS_MASK;
}

function standingLeavingSince(Standing standing) pure returns (uint256) {
    return (Standing.unwrap(standing) >> LEAVING_SHIFT) & LEAVING_MASK;
}

function standingWithPosition(Standing standing, int256 position) pure returns (Standing) {
    if (position != int128(position)) revert PositionOutOfRange(position);
    return Standing.wrap((Standing.unwrap(standing) & ~POSITION_MASK) | (uint256(position) & POSITION_MASK));
}

function standingWithLimit(Standing standing, uint256 limit) pure returns (Standing) {
    if (limit > LIMIT_MASK) revert LimitOutOfRange(limit);
    uint256 cleared = Standing.unwrap(standing) & ~(LIMIT_MASK << LIMIT_SHIFT);
    return Standing.wrap(cleared | (limit << LIMIT_SHIFT));
}

/// @dev A status is the number of an enum, so it fits.
function standingWithStatus(Standing standing, uint256 status) pure returns (Standing) {
    uint256 cleared = Standing.unwrap(standing) & ~(STATUS_MASK << STATUS_SHIFT);
    return Standing.wrap(cleared | (status << STATUS_SHIFT));
}

/// @dev Epochs fit 16 bits (`EpochClock`).
function standingWithLeavingSince(Standing standing, uint256 epoch) pure returns (Standing) {
    uint256 cleared = Standing.unwrap(standing) & ~(LEAVING_MASK << LEAVING_SHIFT);
    return Standing.wrap(cleared | (epoch << LEAVING_SHIFT));
}
