// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A settlement asset that calls back into whatever it is told to, in the middle of each transfer
contract ReentrantAsset is ERC20("Hostile", "HST") {
    address public target;
    bytes public message;
    /// @notice What the last call back was answered; empty when it took effect.
    bytes public answer;
    bool public tookEffect;

    constructor(address holder) {
        _mint(holder, 1e24);
    }

    function aim(address target_, bytes calldata message_) external {
        target = target_;
        message = message_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (target == address(0)) return;
        address aimed = target;
        target = address(0);
        (tookEffect, answer) = aimed.call(message);
    }
}
