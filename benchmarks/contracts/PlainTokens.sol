// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20 as OpenZeppelinERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC721 as OpenZeppelinERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC20 as SoladyERC20} from "solady/src/tokens/ERC20.sol";

/// @title What Banyan is measured against: plain tokens that know no signature, nonce, deadline, credit, terms, epoch or event of ours
contract OpenZeppelinToken is OpenZeppelinERC20("Plain", "PLN") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice The bare airdrop loop.
    function mintMany(address[] calldata to, uint256[] calldata amounts) external {
        for (uint256 i = 0; i < to.length; ++i) {
            _mint(to[i], amounts[i]);
        }
    }
}

contract SoladyToken is SoladyERC20 {
    function name() public pure override returns (string memory) {
        return "Plain";
    }

    function symbol() public pure override returns (string memory) {
        return "PLN";
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function mintMany(address[] calldata to, uint256[] calldata amounts) external {
        for (uint256 i = 0; i < to.length; ++i) {
            _mint(to[i], amounts[i]);
        }
    }
}

contract OpenZeppelinPass is OpenZeppelinERC721("Plain", "PLN") {
    function mint(address to, uint256 tokenId) external {
        _mint(to, tokenId);
    }
}
