// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ERC-7818, expirable ERC-20: the part that is not ERC-20 itself
/// @dev https://eips.ethereum.org/EIPS/eip-7818 (Final). An epoch is a bucket of time; points of one epoch expire together.
interface IERC7818 {
    enum EPOCH_TYPE {
        BLOCKS_BASED,
        TIME_BASED
    }

    /// @notice Points of an expired epoch were asked to move.
    error ERC7818TransferredExpiredToken();

    /// @notice Balance of `account` that was earned in `epoch`; 0 when that epoch has expired.
    function balanceOfAtEpoch(uint256 epoch, address account) external view returns (uint256);

    /// @notice The epoch of this moment; the first is 1.
    function currentEpoch() external view returns (uint256);

    /// @notice Length of an epoch in seconds.
    function epochLength() external view returns (uint256);

    function epochType() external view returns (EPOCH_TYPE);

    /// @notice How many epochs a point lives, the one it was earned in included: 6.
    function validityDuration() external view returns (uint256);

    function isEpochExpired(uint256 epoch) external view returns (bool);

    /// @notice Moves points of `epoch` alone.
    function transferAtEpoch(uint256 epoch, address to, uint256 points) external returns (bool);

    function transferFromAtEpoch(uint256 epoch, address from, address to, uint256 points) external returns (bool);
}
