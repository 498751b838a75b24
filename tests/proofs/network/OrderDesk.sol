// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Kind} from "../../../contracts/types/Orders.sol";
import {vm} from "../Vm.sol";
import {Network} from "./Network.sol";

/// @dev Writes and signs orders as the table in `types/Orders.sol` lays them out.
abstract contract OrderDesk is Network {
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev Fields and signature. An order needs one byte of signature to be read, and no digest covers it.
    function _signed(bytes memory fields, uint256 key) internal view returns (bytes memory) {
        return bytes.concat(fields, _sign(key, coalition.digestOf(bytes.concat(fields, hex"00"))));
    }

    function _membership(Kind kind, address member, uint24 nonce) internal view returns (bytes memory) {
        return abi.encodePacked(uint8(kind), member, nonce, _deadline());
    }

    function _issueBatch(uint32 merchant, uint64 nonce, uint16 count, bytes memory entries)
        internal
        view
        returns (bytes memory)
    {
        bytes32 references = keccak256(entries);
        return abi.encodePacked(uint8(Kind.ISSUE_BATCH), merchant, nonce, _deadline(), references, count, entries);
    }

    function _redeem(address member, uint32 merchant, uint40 amount, uint24 nonce)
        internal
        view
        returns (bytes memory)
    {
        bytes32 ref = keccak256(abi.encode(member, nonce));
        return abi.encodePacked(uint8(Kind.REDEEM), member, merchant, amount, nonce, _deadline(), ref);
    }

    /// @param redemption member20 points5 nonce3 deadline5 ref32, as they stood in the Redeem.
    function _refund(
        uint32 merchant,
        uint40 amount,
        uint64 nonce,
        bytes memory redemption,
        uint256 buckets,
        bytes32[] memory proof
    ) internal view returns (bytes memory) {
        bytes memory head = abi.encodePacked(uint8(Kind.REFUND), merchant, amount, nonce, _deadline());
        return bytes.concat(head, redemption, abi.encodePacked(buckets, uint8(proof.length), proof));
    }

    function _returnGoods(address member, uint32 merchant, uint256 amount, uint256 epoch, uint64 nonce)
        internal
        view
        returns (bytes memory)
    {
        bytes memory head = abi.encodePacked(uint8(Kind.RETURN), member, merchant, uint40(amount), uint16(epoch));
        return bytes.concat(head, abi.encodePacked(nonce, _deadline(), keccak256(abi.encode(member, nonce))));
    }

    /// @dev A Return bears two signatures, the member's with its length in front.
    function _signedByBoth(bytes memory fields, uint256 memberKey, uint256 tillKey_)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = coalition.digestOf(bytes.concat(fields, hex"000000"));
        return bytes.concat(fields, hex"0041", _sign(memberKey, digest), _sign(tillKey_, digest));
    }

    function _transfer(address from, address to, uint40 amount, uint24 nonce) internal view returns (bytes memory) {
        return abi.encodePacked(uint8(Kind.TRANSFER), from, to, amount, nonce, _deadline());
    }

    function _cancel(address signer, uint32 merchant, uint64 nonce) internal view returns (bytes memory) {
        return abi.encodePacked(uint8(Kind.CANCEL), signer, merchant, nonce, _deadline());
    }

    function _withdraw(uint32 merchant, address to, uint128 amount, uint64 nonce)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(Kind.WITHDRAW), merchant, to, amount, nonce, _deadline());
    }

    function _setTillKey(uint32 merchant, address key, bool active, uint64 nonce)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(Kind.SET_TILL_KEY), merchant, key, active, nonce, _deadline());
    }

    function _setOwner(uint32 merchant, address owner, uint64 nonce) internal view returns (bytes memory) {
        return abi.encodePacked(uint8(Kind.SET_OWNER), merchant, owner, nonce, _deadline());
    }

    function _recovery(Kind kind, address member, address recovery, uint24 nonce)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(kind), member, recovery, nonce, _deadline());
    }
}
