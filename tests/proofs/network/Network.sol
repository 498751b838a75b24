// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IBankReceipt} from "../../../contracts/interfaces/IBankReceipt.sol";
import {ICoalition, ICoalitionTypes} from "../../../contracts/interfaces/ICoalition.sol";
import {IMembershipPass} from "../../../contracts/interfaces/IMembershipPass.sol";
import {IPoints} from "../../../contracts/interfaces/IPoints.sol";
import {vm} from "../Vm.sol";

/// @dev The real contracts: the very bytes that are committed and deployed (or a mutant's, under PROOF_ARTEFACTS), wired with this contract as
/// ADMIN and so as every role that is not named.
abstract contract Network {
    uint256 internal constant FACE = 100;
    uint256 internal constant RETURN_CAP_BPS = 1_000;
    uint256 internal constant EPOCH_SECONDS = 20 days;
    uint256 internal constant FIRST_START = 1_800_000_000;
    uint256 internal constant MONEY = 1e30;
    address internal constant ATTESTOR = address(0xA77E5707);

    IAccessManager internal manager;
    IBankReceipt internal asset;
    IPoints internal points;
    IMembershipPass internal pass;
    ICoalition internal coalition;

    /// @dev The optimizer takes TIMESTAMP for constant within a call, which a cheat code breaks: so time is asked for by a call.
    function clock() public view returns (uint256) {
        return block.timestamp;
    }

    function _now() internal view returns (uint256) {
        return this.clock();
    }

    function _deploy(IPoints.Policy policy) internal {
        vm.warp(FIRST_START);
        manager = IAccessManager(_create("AccessManager", abi.encode(address(this))));
        asset = IBankReceipt(_create("BankReceipt", abi.encode("Receipt", "RCPT", MONEY, manager)));
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 3);
        points = IPoints(
            _create(
                "Points", abi.encode("Points", "PTS", FIRST_START, EPOCH_SECONDS, policy, predicted, manager)
            )
        );
        pass = IMembershipPass(_create("MembershipPass", abi.encode(points, manager, "Pass", "PASS")));
        coalition = _newCoalition(address(0));
        require(address(coalition) == predicted, "coalition is not where Points looks");
        manager.grantRole(0, ATTESTOR, 0);
        asset.proposeMint("opening", address(this), MONEY);
        vm.prank(ATTESTOR);
        asset.confirmMint("opening");
        asset.approve(address(coalition), type(uint256).max);
    }

    function _newCoalition(address predecessor) internal returns (ICoalition) {
        bytes memory fixed_ = abi.encode(points, asset, pass, FACE, RETURN_CAP_BPS, predecessor, manager);
        address office = _create("CoalitionOffice", fixed_);
        ICoalitionTypes.Terms memory terms = ICoalitionTypes.Terms(10, 2, 5_000);
        bytes memory arguments =
            abi.encode(points, asset, pass, FACE, RETURN_CAP_BPS, terms, predecessor, manager, office);
        return ICoalition(_create("Coalition", arguments));
    }

    function _create(string memory name, bytes memory arguments) internal returns (address created) {
        string memory folder = vm.envOr("PROOF_ARTEFACTS", string("wallet_sdk/abi"));
        string memory artefact = vm.readFile(string.concat(folder, "/", name, ".json"));
        bytes memory code = bytes.concat(vm.parseJsonBytes(artefact, ".bytecode"), arguments);
        assembly {
            created := create(0, add(code, 32), mload(code))
        }
        require(created != address(0), string.concat(name, " was not created"));
    }

    function _epoch() internal view returns (uint256) {
        return points.currentEpoch();
    }

    /// @dev The last second at which an order that is signed now may take effect.
    function _deadline() internal view returns (uint40) {
        return uint40(points.epochEnd(_epoch()));
    }
}
