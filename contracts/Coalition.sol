// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ICoalition, ICoalitionDoors} from "./interfaces/ICoalition.sol";
import {IMembershipPass} from "./interfaces/IMembershipPass.sol";
import {IPoints} from "./interfaces/IPoints.sol";
import {CoalitionState} from "./coalition/CoalitionState.sol";
import {DailyOrders} from "./coalition/DailyOrders.sol";
import {CoalitionOffice} from "./CoalitionOffice.sol";
import {CANCEL, ISSUE_BATCH, JOIN, REDEEM, REFUND, TRANSFER} from "./types/Orders.sol";
import {Wire} from "./types/Wire.sol";

/// @dev The shell: the two doors. State, terms, positions, reading, signatures and the effects of daily orders are parents; the rest is code
/// of `CoalitionOffice`, run on this contract's state.
contract Coalition is ICoalitionDoors, DailyOrders {
    using Wire for bytes;

    /// @dev A reason longer than this is cut: four words and a selector say all that our errors say.
    uint256 private constant REASON_BYTES_MAX = 100;
    /// @dev Gas of one entry of a batch at worst: a slot that is written for the first time (open), or a member's.
    uint256 private immutable ENTRY_GAS;
    address private immutable OFFICE;

    constructor(
        IPoints points_,
        IERC20 asset_,
        IMembershipPass pass_,
        uint256 faceValue_,
        uint256 returnCapBps_,
        Terms memory terms,
        address predecessor_,
        address authority_,
        address office_
    ) CoalitionState(points_, asset_, pass_, faceValue_, returnCapBps_, predecessor_, authority_) {
        OFFICE = office_;
        if (CoalitionOffice(office_).configuration() != _configuration()) revert OfficeMismatch(office_);
        ENTRY_GAS = points_.policy() == IPoints.Policy.OPEN ? 24_500 : 7_900;
        if (predecessor_ == address(0)) {
            _requireSound(terms);
            _append(1, terms);
            return;
        }
        ICoalition past = ICoalition(predecessor_);
        bool same = address(past.points()) == address(points_) && address(past.asset()) == address(asset_)
            && address(past.pass()) == address(pass_) && past.faceValue() == faceValue_;
        if (!same) revert PredecessorMismatch(predecessor_);
    }

    /// @inheritdoc ICoalitionDoors
    function relay(bytes[] calldata orders) external nonReentrant current returns (uint256 effective) {
        bytes32[] memory leaves = new bytes32[](orders.length);
        uint256 redemptions;
        uint256 epochEnd = _epochEnd(_currentEpoch());
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
        }
        for (uint256 i = 0; i < orders.length;) {
            (bool done, bytes32 leaf) = _relayOne(i, orders[i], epochEnd);
            // None of these can pass the number of orders, for which the memory is there. What an order put into memory behind it is of no
            // use to the next: without setting the pointer back, memory would grow by the square.
            assembly ("memory-safe") {
                i := add(i, 1)
                effective := add(effective, done)
                if leaf {
                    redemptions := add(redemptions, 1)
                    mstore(add(leaves, shl(5, redemptions)), leaf)
                }
                mstore(0x40, free)
            }
        }
        if (redemptions != 0) _storeRoot(leaves, redemptions);
    }

    /// @inheritdoc ICoalitionDoors
    function execute(bytes calldata order) external nonReentrant current returns (bytes32 digest) {
        Signed memory signed = _readOrRevert(order);
        if (block.timestamp > signed.deadline) revert OrderExpired(signed.deadline);
        if (signed.merchant != 0 && _isMerchantNonceUsed(signed.merchant, signed.nonce)) {
            revert MerchantNonceUsed(signed.merchant, signed.nonce);
        }
        _revertWith(_refusalOfSignature(order, signed));
        _revertWith(_refusalOfDeadline(signed.deadline, _epochEnd(_currentEpoch())));
        digest = signed.digest;
        bytes32 leaf = this.carryOut(order, digest);
        if (leaf == 0) return digest;
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = leaf;
        _storeRoot(leaves, 1);
    }

    /// @notice One order in a frame of its own, so that what fails leaves no trace. This contract alone.
    /// @return leaf Of a redemption; 0 for all others.
    function carryOut(bytes calldata order, bytes32 digest) external returns (bytes32 leaf) {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        uint256 kind = order.unsigned(0, 1);
        if (kind == REDEEM) leaf = _redeem(order, digest);
        else if (kind == ISSUE_BATCH) _issueBatch(order, digest);
        else if (kind == TRANSFER) _transfer(order, digest);
        else if (kind == JOIN) _join(order, digest);
        else if (kind == CANCEL) _cancel(order, digest);
        else _delegateToOffice();
    }

    /// @inheritdoc ICoalitionDoors
    function deposit(uint32 merchant, uint256 amount) external current nonReentrant {
        // Before the standing is read: nothing that the asset does in between can be overwritten.
        uint256 arrived = _pull(amount);
        _creditPosition(merchant, _standing(merchant), arrived);
        emit Deposited(merchant, msg.sender, arrived);
    }

    /// @inheritdoc ICoalitionDoors
    function digestOf(bytes calldata order) external view returns (bytes32) {
        return _readOrRevert(order).digest;
    }

    // ---- reads

    /// @inheritdoc ICoalitionDoors
    function office() external view returns (address) {
        return OFFICE;
    }

    /// @inheritdoc ICoalitionDoors
    function points() external view returns (IPoints) {
        return POINTS;
    }

    /// @inheritdoc ICoalitionDoors
    function asset() external view returns (IERC20) {
        return ASSET;
    }

    /// @inheritdoc ICoalitionDoors
    function pass() external view returns (IMembershipPass) {
        return PASS;
    }

    /// @inheritdoc ICoalitionDoors
    function faceValue() external view returns (uint256) {
        return FACE_VALUE;
    }

    /// @inheritdoc ICoalitionDoors
    function returnCapBps() external view returns (uint256) {
        return RETURN_CAP_BPS;
    }

    /// @inheritdoc ICoalitionDoors
    function predecessor() external view returns (address) {
        return address(PREDECESSOR);
    }

    /// @inheritdoc ICoalitionDoors
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparator();
    }

    /// @inheritdoc ICoalitionDoors
    function merchantOf(uint32 merchant) external view returns (Merchant memory) {
        return _merchantOf(merchant);
    }

    /// @inheritdoc ICoalitionDoors
    function positionOf(uint32 merchant) external view returns (int256) {
        return _merchantOf(merchant).position;
    }

    /// @inheritdoc ICoalitionDoors
    function tillKeyMerchant(address key) external view returns (uint32) {
        return _tillKeyMerchant(key);
    }

    /// @inheritdoc ICoalitionDoors
    function isMerchantNonceUsed(uint32 merchant, uint256 nonce) external view returns (bool) {
        return _isMerchantNonceUsed(merchant, nonce);
    }

    /// @dev All that is not a door is asked of the office, on this state. A call that it does not know either reverts without data.
    fallback() external {
        _delegateToOffice();
    }

    // ---- inside

    /// @dev Silent about what is not authentic, is used or has expired: nobody can make this contract speak about an order that its signer
    /// could not still see take effect.
    function _relayOne(uint256 index, bytes calldata order, uint256 epochEnd)
        private
        returns (bool done, bytes32 leaf)
    {
        (Signed memory signed, bool whole) = _read(order);
        if (!whole || signed.kind == 0 || block.timestamp > signed.deadline) return (false, 0);
        if (signed.merchant != 0 && _isMerchantNonceUsed(signed.merchant, signed.nonce)) return (false, 0);
        signed.index = index;
        if (_refusalOfSignature(order, signed).length != 0) return (false, 0);
        bytes memory reason = _refusalOfDeadline(signed.deadline, epochEnd);
        if (reason.length == 0) {
            (done, leaf, reason) = _attempt(order, signed);
            if (done) return (true, leaf);
        }
        // The proof of a refund is not under the till's signature: anybody can put another there, and that says nothing about the order.
        if (bytes4(reason) == RedemptionUnknown.selector) return (false, 0);
        if (signed.merchant == 0 && POINTS.isNonceUsed(signed.signer, signed.nonce)) return (false, 0);
        emit Rejected(signed.digest, msg.sender, reason);
    }

    function _readOrRevert(bytes calldata order) private view returns (Signed memory signed) {
        bool whole;
        (signed, whole) = _read(order);
        if (!whole) revert OrderMalformed(order.length);
        if (signed.kind == 0) revert OrderKindUnknown(order.unsigned(0, 1));
    }

    /// @dev Calls `carryOut` on this contract with the order's fields; the signature has done its work and stays behind.
    function _attempt(bytes calldata order, Signed memory signed)
        private
        returns (bool done, bytes32 leaf, bytes memory reason)
    {
        bytes32 selector = this.carryOut.selector;
        (bytes32 digest, uint256 length) = (signed.digest, signed.signatureAt);
        uint256 call_;
        uint256 callBytes;
        assembly ("memory-safe") {
            // abi.encodeCall(carryOut, (order[:length], digest)), with zeros up to a whole word, as its decoder asks.
            call_ := mload(0x40)
            callBytes := add(100, and(add(length, 31), not(31)))
            mstore(call_, selector)
            mstore(add(call_, 4), 64)
            mstore(add(call_, 36), digest)
            mstore(add(call_, 68), length)
            calldatacopy(add(call_, 100), order.offset, length)
            mstore(add(add(call_, 100), length), 0)
            mstore(0x40, add(add(call_, callBytes), 32))
        }
        // The last thing before the call: nothing in between can use up what was counted.
        _requireGas(signed);
        assembly ("memory-safe") {
            done := call(gas(), address(), 0, call_, callBytes, 0, 32)
            switch done
            case 0 {
                // Only so much of the reason is ever copied: its length is not ours to choose.
                let size := returndatasize()
                if gt(size, REASON_BYTES_MAX) { size := REASON_BYTES_MAX }
                reason := mload(0x40)
                mstore(reason, size)
                mstore(add(add(reason, 32), size), 0)
                returndatacopy(add(reason, 32), 0, size)
                mstore(0x40, add(reason, 192))
            }
            default { leaf := mload(0) }
        }
    }

    /// @dev Runs the office's code on this state with the call as it came, and answers or reverts with its words.
    function _delegateToOffice() private {
        address office_ = OFFICE;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), office_, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch ok
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }

    function _refusalOfDeadline(uint256 deadline, uint256 epochEnd) private pure returns (bytes memory reason) {
        // An empty reason is never written as "": the compiler would allocate it.
        if (deadline > epochEnd) reason = abi.encodeWithSelector(DeadlineBeyondEpoch.selector, deadline, epochEnd);
    }

    /// @dev The worst case of each kind, so that a relayer who brings too little gas reverts as a whole instead of making an order fail.
    /// All but 1/64 goes into the frame of the order; the numbers have that in.
    function _requireGas(Signed memory signed) private view {
        uint256 needed = 250_000;
        if (signed.kind == ISSUE_BATCH) {
            needed += (signed.signatureAt / ENTRY_BYTES) * (ENTRY_GAS + ENTRY_GAS / 63);
        } else if (signed.kind == REFUND) {
            needed += 200_000;
        }
        if (gasleft() < needed) revert GasTooLow(signed.index, gasleft(), needed);
    }

    function _revertWith(bytes memory reason) private pure {
        if (reason.length == 0) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}
