// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashing} from "./Hashing.sol";

/// @dev The EIP-712 domain of a contract: name, version 1, chain id, address. OpenZeppelin's keeps the names on chain for EIP-5267, in code and
/// slots that a Coalition at the size limit has no room for; here they are in the interface's words.
abstract contract TypedData {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    bytes32 private immutable NAME_HASH;
    bytes32 private immutable SEPARATOR;
    uint256 private immutable CHAIN_ID;
    address private immutable SELF;

    constructor(string memory name) {
        NAME_HASH = keccak256(bytes(name));
        CHAIN_ID = block.chainid;
        SELF = address(this);
        SEPARATOR = _buildSeparator();
    }

    /// @dev Computed anew after a fork of the chain, and in code that runs by delegation for another address.
    function _domainSeparator() internal view returns (bytes32) {
        if (address(this) == SELF && block.chainid == CHAIN_ID) return SEPARATOR;
        return _buildSeparator();
    }

    function _typedDigest(bytes32 structHash) internal view returns (bytes32) {
        return _typedDigestIn(_domainSeparator(), structHash);
    }

    function _typedDigestIn(bytes32 separator, bytes32 structHash) internal pure returns (bytes32) {
        return Hashing.prefixed(hex"1901", 2, separator, structHash);
    }

    function _buildSeparator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, keccak256("1"), block.chainid, address(this)));
    }
}
