// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/*
 Supply of one epoch in one word: live points in the upper half, points issued net of returns in the lower. What is live was issued, so the
 upper number never exceeds the lower; both are sums of at most 2^35 points a bucket and never come near 2^128.
*/
type Supply is uint256;

using {supplyLive, supplyIssuedNet, supplyIssued, supplyReturned, supplyRefunded, supplyRedeemed} for Supply global;

uint256 constant LIVE_SHIFT = 128;
uint256 constant ISSUED_MASK = type(uint128).max;

/// @dev More points were to leave an epoch than are live in it: a bucket that the supply does not know.
error SupplyTooLow(uint256 live, uint256 points);

function supplyLive(Supply supply) pure returns (uint256) {
    return Supply.unwrap(supply) >> LIVE_SHIFT;
}

function supplyIssuedNet(Supply supply) pure returns (uint256) {
    return Supply.unwrap(supply) & ISSUED_MASK;
}

/// @dev Checked: a carry out of the upper half reverts, and the lower half overflows no earlier than the upper.
function supplyIssued(Supply supply, uint256 points) pure returns (Supply) {
    return Supply.wrap(Supply.unwrap(supply) + ((points << LIVE_SHIFT) | points));
}

function supplyReturned(Supply supply, uint256 points) pure returns (Supply) {
    return Supply.wrap(Supply.unwrap(supply.supplyRedeemed(points)) - points);
}

function supplyRefunded(Supply supply, uint256 points) pure returns (Supply) {
    return Supply.wrap(Supply.unwrap(supply) + (points << LIVE_SHIFT));
}

function supplyRedeemed(Supply supply, uint256 points) pure returns (Supply) {
    uint256 live = supply.supplyLive();
    if (points > live) revert SupplyTooLow(live, points);
    unchecked {
        return Supply.wrap(Supply.unwrap(supply) - (points << LIVE_SHIFT));
    }
}
