// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {OrderReader} from "./OrderReader.sol";

/// @dev Who signed. ecrecover first, so that an account with delegated code (EIP-7702) keeps its key; then ERC-1271, by a static call with
/// a fixed amount of gas and one word of answer.
abstract contract Signatures is OrderReader {
    /// @dev What a contract signer gets, always in full: with less, a relayer could starve it and make a live order look forged.
    uint256 internal constant ERC1271_GAS = 250_000;
    uint256 private constant KEY_SIGNATURE_BYTES = 65;
    uint256 private constant OWNERS_NONCES = 1 << 63;
    /// @dev Half the order of secp256k1. Every signature has a twin with s beyond it; only one of the two is accepted (EIP-2).
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @return reason The error of a signature that does not hold; empty when it holds.
    function _refusalOfSignature(bytes calldata order, Signed memory signed)
        internal
        view
        returns (bytes memory reason)
    {
        bytes calldata signature = order[signed.signatureAt:];
        uint256 by = signed.by;
        if (by == BY_MEMBER) {
            if (_isSignedBy(signed.signer, signed, signature)) return reason;
            return _invalid(signed.signer);
        }
        if (by == BY_TILL) return _refusalOfTill(signed, signature);
        if (by == BY_OWNER) return _refusalOfOwner(signed, signature);
        if (by == BY_MEMBER_AND_TILL) {
            bytes calldata membersSignature = order[MEMBER_SIGNATURE_OFFSET:signed.signatureAt];
            if (!_isSignedBy(signed.signer, signed, membersSignature)) return _invalid(signed.signer);
            return _refusalOfTill(signed, signature);
        }
        if (!_isSignedBy(signed.signer, signed, signature)) return _invalid(signed.signer);
        // A cancellation of a merchant's nonce: the owner may cancel each, a till its own half.
        if (_merchantOf(signed.merchant).owner != signed.signer) return _refusalOfTillKey(signed, signed.signer);
    }

    /// @dev A till's key is not a field: a key's signature says whose it is, a contract's carries its address in front.
    function _refusalOfTill(Signed memory signed, bytes calldata signature)
        private
        view
        returns (bytes memory reason)
    {
        if (signature.length == KEY_SIGNATURE_BYTES) {
            address key = _recover(signed.digest, signature);
            if (key == address(0)) return _invalid(key);
            return _refusalOfTillKey(signed, key);
        }
        if (signature.length < 20) return _invalid(address(0));
        address signer = address(bytes20(signature));
        reason = _refusalOfTillKey(signed, signer);
        if (reason.length == 0 && !_isApprovedBy(signer, signed, signature[20:])) return _invalid(signer);
    }

    /// @dev Tills and owners share one map of nonces, the upper half is the owners' alone: no stolen till key can use up the nonce of the order
    /// that revokes it.
    function _refusalOfTillKey(Signed memory signed, address key) private view returns (bytes memory reason) {
        uint32 merchant = signed.merchant;
        if (merchant == 0 || _tillKeyMerchant(key) != merchant) {
            return abi.encodeWithSelector(NotTillKey.selector, merchant, key);
        }
        if (signed.nonce >= OWNERS_NONCES) return abi.encodeWithSelector(NotOwner.selector, merchant, key);
    }

    function _refusalOfOwner(Signed memory signed, bytes calldata signature)
        private
        view
        returns (bytes memory reason)
    {
        address owner = _merchantOf(signed.merchant).owner;
        if (_isSignedBy(owner, signed, signature)) return reason;
        address signer = signature.length == KEY_SIGNATURE_BYTES ? _recover(signed.digest, signature) : address(0);
        return abi.encodeWithSelector(NotOwner.selector, signed.merchant, signer);
    }

    function _isSignedBy(address signer, Signed memory signed, bytes calldata signature)
        private
        view
        returns (bool)
    {
        if (signer == address(0)) return false;
        if (signature.length == KEY_SIGNATURE_BYTES) {
            if (_recover(signed.digest, signature) == signer) return true;
        }
        return _isApprovedBy(signer, signed, signature);
    }

    /// @dev ERC-1271.
    function _isApprovedBy(address signer, Signed memory signed, bytes calldata signature)
        private
        view
        returns (bool approved)
    {
        if (signer.code.length == 0) return false;
        bytes memory question = abi.encodeCall(IERC1271.isValidSignature, (signed.digest, signature));
        // All but 1/64 of what is left goes into a call; the rest pays for what is done after the answer.
        uint256 needed = ERC1271_GAS + ERC1271_GAS / 32 + 5_000;
        if (gasleft() < needed) revert GasTooLow(signed.index, gasleft(), needed);
        uint256 gas_ = ERC1271_GAS;
        bytes32 answer;
        assembly ("memory-safe") {
            // Scratch space takes the one word; more of an answer is never copied.
            let ok := staticcall(gas_, signer, add(question, 32), mload(question), 0, 32)
            if and(ok, gt(returndatasize(), 31)) { answer := mload(0) }
        }
        return answer == bytes32(IERC1271.isValidSignature.selector);
    }

    /// @dev The signer of a 65-byte signature r, s, v; 0 for a high s, for a v other than 27 and 28, and for what no key signs.
    function _recover(bytes32 digest, bytes calldata signature) private view returns (address signer) {
        assembly ("memory-safe") {
            let s := calldataload(add(signature.offset, 32))
            if iszero(gt(s, HALF_ORDER)) {
                let free := mload(0x40)
                mstore(free, digest)
                mstore(add(free, 32), byte(0, calldataload(add(signature.offset, 64))))
                mstore(add(free, 64), calldataload(signature.offset))
                mstore(add(free, 96), s)
                // The precompile answers nothing at all to what it does not accept; then the zero stays.
                mstore(0x00, 0)
                pop(staticcall(gas(), 1, free, 128, 0x00, 32))
                signer := mload(0x00)
            }
        }
    }

    function _invalid(address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(SignatureInvalid.selector, signer);
    }
}
