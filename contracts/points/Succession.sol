// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IPoints} from "../interfaces/IPoints.sol";

/// @dev The one Coalition that Points obeys, and the only way to replace it: 30 days in the open, with a veto.
abstract contract Succession is IPoints, AccessManaged {
    /// @dev In the bytecode: no role can shorten it.
    uint256 public constant SUCCESSION_DELAY = 30 days;

    address internal _coalition;
    address private _successor;
    uint256 private _acceptableAt;

    constructor(address coalition_, address authority_) AccessManaged(authority_) {
        _coalition = coalition_;
        emit CoalitionChanged(address(0), coalition_);
    }

    modifier onlyCoalition() {
        _requireCoalition();
        _;
    }

    /// @inheritdoc IPoints
    function coalition() external view returns (address) {
        return _coalition;
    }

    /// @inheritdoc IPoints
    function successor() external view returns (address proposed, uint256 acceptableAt) {
        return (_successor, _acceptableAt);
    }

    /// @inheritdoc IPoints
    function proposeCoalition(address proposed) external restricted {
        if (proposed == address(0)) revert NoSuccessor();
        _successor = proposed;
        _acceptableAt = block.timestamp + SUCCESSION_DELAY;
        emit CoalitionProposed(proposed, _acceptableAt);
    }

    /// @inheritdoc IPoints
    function vetoCoalition() external restricted {
        address vetoed = _successor;
        if (vetoed == address(0)) revert NoSuccessor();
        _endProposal();
        emit CoalitionVetoed(vetoed);
    }

    /// @inheritdoc IPoints
    function acceptCoalition() external {
        if (_successor == address(0)) revert NoSuccessor();
        if (msg.sender != _successor) revert NotSuccessor(msg.sender, _successor);
        if (block.timestamp < _acceptableAt) revert SuccessionTooEarly(_acceptableAt);
        address previous = _coalition;
        _endProposal();
        _coalition = msg.sender;
        emit CoalitionChanged(previous, msg.sender);
    }

    function _endProposal() private {
        _successor = address(0);
        _acceptableAt = 0;
    }

    function _requireCoalition() private view {
        if (msg.sender != _coalition) revert NotCoalition(msg.sender);
    }
}
