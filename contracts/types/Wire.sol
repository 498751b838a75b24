// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Reads big-endian fields of an order on the wire
/// @dev Nothing here checks the length: calldata beyond it reads as whatever follows. `OrderReader` checks it once, before any field is used.
library Wire {
    function word(bytes calldata order, uint256 from) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(add(order.offset, from))
        }
    }

    function unsigned(bytes calldata order, uint256 from, uint256 widthBytes) internal pure returns (uint256) {
        return uint256(word(order, from)) >> (256 - 8 * widthBytes);
    }

    function account(bytes calldata order, uint256 from) internal pure returns (address) {
        return address(uint160(unsigned(order, from, 20)));
    }

    /// @dev Merchants are four bytes wherever they stand.
    function merchant(bytes calldata order, uint256 from) internal pure returns (uint32) {
        return uint32(unsigned(order, from, 4));
    }

    /// @dev Points are five bytes, and so are deadlines.
    function uint40At(bytes calldata order, uint256 from) internal pure returns (uint256) {
        return unsigned(order, from, 5);
    }

    /// @dev A member's nonce.
    function uint24At(bytes calldata order, uint256 from) internal pure returns (uint256) {
        return unsigned(order, from, 3);
    }

    /// @dev A merchant's nonce.
    function uint64At(bytes calldata order, uint256 from) internal pure returns (uint256) {
        return unsigned(order, from, 8);
    }
}
