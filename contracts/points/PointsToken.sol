// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC7818} from "../interfaces/IERC7818.sol";
import {IPoints} from "../interfaces/IPoints.sol";
import {VALIDITY_EPOCHS} from "../types/Account.sol";
import {TypedData} from "../types/TypedData.sol";
import {PointsLedger} from "./PointsLedger.sol";

/// @dev The token that wallets see: ERC-20, ERC-2612, ERC-7818.
abstract contract PointsToken is PointsLedger, TypedData {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    string private _name;
    string private _symbol;
    mapping(address owner => mapping(address spender => uint256)) private _allowances;
    /// @dev A permit's nonces are its own, so that a permit cannot disturb an order.
    mapping(address owner => uint256) private _permitNonces;

    constructor(string memory name_, string memory symbol_) TypedData(name_) {
        _name = name_;
        _symbol = symbol_;
    }

    // ---- reads

    /// @inheritdoc IERC20Metadata
    function name() external view returns (string memory) {
        return _name;
    }

    /// @inheritdoc IERC20Metadata
    function symbol() external view returns (string memory) {
        return _symbol;
    }

    /// @inheritdoc IERC20Metadata
    function decimals() external pure returns (uint8) {
        return 0;
    }

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return _liveSupply();
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) external view returns (uint256) {
        return _accounts[account].accountAged(_currentEpoch()).accountBalance();
    }

    /// @inheritdoc IERC7818
    function balanceOfAtEpoch(uint256 epoch, address account) external view returns (uint256) {
        return _accounts[account].accountAged(_currentEpoch()).accountBucket(epoch);
    }

    /// @inheritdoc IERC20
    function allowance(address owner, address spender) external view returns (uint256) {
        return _allowances[owner][spender];
    }

    /// @inheritdoc IERC20Permit
    function nonces(address owner) external view returns (uint256) {
        return _permitNonces[owner];
    }

    /// @inheritdoc IERC20Permit
    function DOMAIN_SEPARATOR() external view returns (bytes32) {
        return _domainSeparator();
    }

    // ---- ERC-20

    /// @inheritdoc IERC20
    function transfer(address to, uint256 value) external returns (bool) {
        _transfer(msg.sender, to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        _spendAllowance(from, value);
        _transfer(from, to, value);
        return true;
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 value) external returns (bool) {
        _approve(msg.sender, spender, value);
        return true;
    }

    // ---- ERC-7818

    /// @inheritdoc IERC7818
    function transferAtEpoch(uint256 epoch, address to, uint256 points) external returns (bool) {
        _transferAtEpoch(epoch, msg.sender, to, points);
        return true;
    }

    /// @inheritdoc IERC7818
    function transferFromAtEpoch(uint256 epoch, address from, address to, uint256 points)
        external
        returns (bool)
    {
        _spendAllowance(from, points);
        _transferAtEpoch(epoch, from, to, points);
        return true;
    }

    /// @inheritdoc IERC7818
    function currentEpoch() external view returns (uint256) {
        return _currentEpoch();
    }

    /// @inheritdoc IERC7818
    function epochLength() external view returns (uint256) {
        return EPOCH_LENGTH;
    }

    /// @inheritdoc IERC7818
    function epochType() external pure returns (EPOCH_TYPE) {
        return EPOCH_TYPE.TIME_BASED;
    }

    /// @inheritdoc IERC7818
    function validityDuration() external pure returns (uint256) {
        return VALIDITY_EPOCHS;
    }

    /// @inheritdoc IERC7818
    function isEpochExpired(uint256 epoch) external view returns (bool) {
        return _isExpired(epoch, _currentEpoch());
    }

    /// @inheritdoc IPoints
    function epochStart(uint256 epoch) external view returns (uint256) {
        return _epochStart(epoch);
    }

    /// @inheritdoc IPoints
    function epochEnd(uint256 epoch) external view returns (uint256) {
        return _epochEnd(epoch);
    }

    // ---- ERC-2612

    /// @inheritdoc IERC20Permit
    function permit(
        address owner,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        if (block.timestamp > deadline) revert PermitExpired(deadline);
        uint256 nonce = _permitNonces[owner];
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonce, deadline));
        (address signer,,) = ECDSA.tryRecover(_typedDigest(structHash), v, r, s);
        if (signer == address(0) || signer != owner) revert PermitSignerInvalid(signer, owner);
        _permitNonces[owner] = nonce + 1;
        _approve(owner, spender, value);
    }

    // ---- inside

    function _transfer(address from, address to, uint256 points) private {
        _requireTransferable(to);
        uint256 epoch = _currentEpoch();
        _moveOldest(from, _accounts[from].accountAged(epoch), to, points, epoch);
    }

    function _transferAtEpoch(uint256 epoch, address from, address to, uint256 points) private {
        _requireTransferable(to);
        _moveAtEpoch(from, to, points, epoch);
    }

    /// @dev Whether anything may be transferred at all, and not into the void.
    function _requireTransferable(address to) internal view {
        if (TRANSFERS_CLOSED) revert TransfersClosed();
        if (to == address(0)) revert ERC20InvalidReceiver(to);
    }

    function _approve(address owner, address spender, uint256 value) private {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        _allowances[owner][spender] = value;
        emit Approval(owner, spender, value);
    }

    function _spendAllowance(address owner, uint256 value) private {
        // Nobody signs for address 0; without this, transferFrom(0, to, 0) would look like an issue.
        if (owner == address(0)) revert ERC20InvalidSender(owner);
        uint256 allowed = _allowances[owner][msg.sender];
        if (allowed == type(uint256).max) return;
        if (allowed < value) revert ERC20InsufficientAllowance(msg.sender, allowed, value);
        unchecked {
            _allowances[owner][msg.sender] = allowed - value;
        }
    }
}
