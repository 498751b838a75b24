// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Hashes of a few words, without the ABI coder
/// @dev Each writes behind the free memory pointer and leaves the pointer where it was: memory there may be dirty, as Solidity allows. The compiler's
/// `keccak256(abi.encode(...))` costs three times as much, and an order is hashed six times on its way.
library Hashing {
    /// @dev keccak256(prefix . a . b), the prefix being the first `prefixBytes` of `prefix`.
    function prefixed(bytes32 prefix, uint256 prefixBytes, bytes32 a, bytes32 b)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, prefix)
            mstore(add(free, prefixBytes), a)
            mstore(add(add(free, prefixBytes), 32), b)
            hash := keccak256(free, add(prefixBytes, 64))
        }
    }

    /// @dev keccak256 of an EIP-712 struct of three fields.
    function struct3(bytes32 typeHash, uint256 a, uint256 b, uint256 c) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 32), a)
            mstore(add(free, 64), b)
            mstore(add(free, 96), c)
            hash := keccak256(free, 128)
        }
    }

    /// @dev The same of five fields.
    function struct5(bytes32 typeHash, uint256 a, uint256 b, uint256 c, uint256 d, uint256 e)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 32), a)
            mstore(add(free, 64), b)
            mstore(add(free, 96), c)
            mstore(add(free, 128), d)
            mstore(add(free, 160), e)
            hash := keccak256(free, 192)
        }
    }

    /// @dev The same of six fields.
    function struct6(bytes32 typeHash, uint256 a, uint256 b, uint256 c, uint256 d, uint256 e, uint256 f)
        internal
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mstore(add(free, 32), a)
            mstore(add(free, 64), b)
            mstore(add(free, 96), c)
            mstore(add(free, 128), d)
            mstore(add(free, 160), e)
            mstore(add(free, 192), f)
            hash := keccak256(free, 224)
        }
    }
}
