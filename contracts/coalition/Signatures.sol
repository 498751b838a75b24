// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {OrderReader} from "./OrderReader.sol";

/// @dev Who signed. ecrecover first, so that an account with delegated code (EIP-7702) keeps its key; then ERC-1271, by a static call with
/// a fixed amount of gas and one word of answer.
abstract contract Signatures is OrderReader {
    /// @dev What a contract signer gets, always in full: with less, a relayer could starve it and make a live order look forged.
    uint256 internal constant ERC1271_GAS = 250_000;
    uint256 private constant KEY_SIGNATURE_BYTES = 65;

    /// @return reason The error of a signature that does not hold; empty when it holds.
    function _refusalOfSignature(bytes calldata order, Signed memory signed)
        internal
        view
        returns (bytes memory reason)
    {
        bytes calldata signature = order[signed.signatureAt:];
        if (signed.by == Signer.TILL) return _refusalOfTill(signed, signature);
        if (signed.by == Signer.OWNER) return _refusalOfOwner(signed, signature);
        if (signed.by == Signer.MEMBER_AND_TILL) {
            bytes calldata membersSignature = order[MEMBER_SIGNATURE_OFFSET:signed.signatureAt];
            if (!_isSignedBy(signed.signer, signed, membersSignature)) return _invalid(signed.signer);
            return _refusalOfTill(signed, signature);
        }
        if (!_isSignedBy(signed.signer, signed, signature)) return _invalid(signed.signer);
        if (signed.by == Signer.TILL_OR_OWNER) {
            bool till = _tillKeyMerchant(signed.signer) == signed.merchant;
            if (!till && _merchantOf(signed.merchant).owner != signed.signer) {
                return abi.encodeWithSelector(NotTillKey.selector, signed.merchant, signed.signer);
            }
        }
    }

    /// @dev A till's key is not a field: a key's signature says whose it is, a contract's carries its address in front.
    function _refusalOfTill(Signed memory signed, bytes calldata signature)
        private
        view
        returns (bytes memory)
    {
        if (signature.length == KEY_SIGNATURE_BYTES) {
            (address key,,) = ECDSA.tryRecoverCalldata(signed.digest, signature);
            if (key == address(0)) return _invalid(key);
            return _refusalOfTillKey(signed.merchant, key);
        }
        if (signature.length < 20) return _invalid(address(0));
        address signer = address(bytes20(signature));
        bytes memory reason = _refusalOfTillKey(signed.merchant, signer);
        if (reason.length != 0) return reason;
        if (!_isApprovedBy(signer, signed, signature[20:])) return _invalid(signer);
        return "";
    }

    function _refusalOfTillKey(uint32 merchant, address key) private view returns (bytes memory) {
        if (merchant != 0 && _tillKeyMerchant(key) == merchant) return "";
        return abi.encodeWithSelector(NotTillKey.selector, merchant, key);
    }

    function _refusalOfOwner(Signed memory signed, bytes calldata signature)
        private
        view
        returns (bytes memory)
    {
        address owner = _merchantOf(signed.merchant).owner;
        if (_isSignedBy(owner, signed, signature)) return "";
        (address signer,,) = ECDSA.tryRecoverCalldata(signed.digest, signature);
        return abi.encodeWithSelector(NotOwner.selector, signed.merchant, signer);
    }

    function _isSignedBy(address signer, Signed memory signed, bytes calldata signature)
        private
        view
        returns (bool)
    {
        if (signer == address(0)) return false;
        if (signature.length == KEY_SIGNATURE_BYTES) {
            (address recovered,,) = ECDSA.tryRecoverCalldata(signed.digest, signature);
            if (recovered == signer) return true;
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

    function _invalid(address signer) private pure returns (bytes memory) {
        return abi.encodeWithSelector(SignatureInvalid.selector, signer);
    }
}
