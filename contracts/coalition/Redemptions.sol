// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICoalition} from "../interfaces/ICoalition.sol";
import {REDEEM_TYPEHASH} from "../types/Orders.sol";
import {Hashing} from "../types/Hashing.sol";
import {Wire} from "../types/Wire.sol";
import {Positions} from "./Positions.sol";

/// @dev Leaves and roots of redemptions: how a refund names what it gives back, at the cost of one word for a whole relay.
abstract contract Redemptions is Positions {
    using Wire for bytes;

    /// @dev Where the redemption begins in a refund on the wire, and where its proof begins.
    uint256 internal constant REDEMPTION_OFFSET = 23;
    uint256 internal constant PROOF_OFFSET = 121;

    bytes1 private constant LEAF_PREFIX = 0x00;
    bytes1 private constant NODE_PREFIX = 0x01;

    function _leaf(bytes32 digest, uint256 buckets) internal pure returns (bytes32) {
        return Hashing.prefixed(LEAF_PREFIX, 1, digest, bytes32(buckets));
    }

    function _node(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? Hashing.prefixed(NODE_PREFIX, 1, a, b) : Hashing.prefixed(NODE_PREFIX, 1, b, a);
    }

    /// @dev The redemption that a refund names: its leaf, and whether some Coalition stored a root over it. It was signed for the
    /// Coalition of its time, so after a succession the predecessors' domains are tried in turn.
    function _redemptionOf(bytes calldata order) internal view returns (bytes32 leaf, bool rooted) {
        bytes32 structHash = keccak256(
            abi.encode(
                REDEEM_TYPEHASH,
                order.account(REDEMPTION_OFFSET),
                order.merchant(1),
                order.uint40At(43),
                order.uint24At(48),
                order.uint40At(51),
                order.word(56)
            )
        );
        uint256 buckets = uint256(order.word(88));
        leaf = _leaf(_typedDigest(structHash), buckets);
        if (_roots[_rootOf(leaf, order)]) return (leaf, true);
        for (ICoalition past = PREDECESSOR; address(past) != address(0); past = ICoalition(past.predecessor())) {
            bytes32 digest = _typedDigestIn(past.domainSeparator(), structHash);
            bytes32 candidate = _leaf(digest, buckets);
            if (past.isRedemptionRoot(_rootOf(candidate, order))) return (candidate, true);
        }
    }

    /// @dev Sorted pairs, level by level; a leaf without a partner rises unchanged.
    function _storeRoot(bytes32[] memory nodes, uint256 count) internal {
        // Numbers up to the number of orders: nothing here can overflow.
        unchecked {
            for (uint256 width = count; width > 1; width = (width + 1) / 2) {
                uint256 pairs = width / 2;
                for (uint256 i = 0; i < pairs; ++i) {
                    nodes[i] = _node(nodes[2 * i], nodes[2 * i + 1]);
                }
                if (width % 2 == 1) nodes[pairs] = nodes[width - 1];
            }
        }
        _roots[nodes[0]] = true;
        emit RedemptionsRooted(nodes[0], count);
    }

    function _rootOf(bytes32 leaf, bytes calldata order) private pure returns (bytes32 node) {
        node = leaf;
        uint256 length = order.unsigned(120, 1);
        for (uint256 i = 0; i < length; ++i) {
            node = _node(node, order.word(PROOF_OFFSET + 32 * i));
        }
    }

    /// @dev Stored here or at a predecessor.
    function _isRedemptionRoot(bytes32 root) internal view returns (bool) {
        return _roots[root] || (_hasPredecessor() && PREDECESSOR.isRedemptionRoot(root));
    }
}
