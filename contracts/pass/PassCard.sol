// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @dev The card that a wallet shows, drawn from what the pass says and nothing else: no server can change it or take it away.
library PassCard {
    using Strings for uint256;

    /// @return A data URI of JSON with the card as an SVG image. `joinedAt` in Unix seconds.
    function uri(string memory name, uint256 programme, uint256 tier, uint256 joinedAt)
        internal
        pure
        returns (string memory)
    {
        string memory since = date(joinedAt);
        string memory title = programme == 0 ? name : string.concat(name, " ", programme.toString());
        // The name is chosen at deployment and is not trusted to be free of markup.
        string memory json = string.concat(
            '{"name":"',
            Strings.escapeJSON(title),
            '","description":"Membership, not transferable.","attributes":[{"trait_type":"Tier","value":',
            tier.toString(),
            '},{"trait_type":"Member since","value":"',
            since,
            '"}],"image":"data:image/svg+xml;base64,',
            Base64.encode(bytes(svg(escapeXml(title), programme, tier, since))),
            '"}'
        );
        return string.concat("data:application/json;base64,", Base64.encode(bytes(json)));
    }

    function svg(string memory title, uint256 programme, uint256 tier, string memory since)
        internal
        pure
        returns (string memory)
    {
        // A hue per programme, so that two cards in one wallet are told apart at a glance.
        string memory hue = ((programme * 47 + 150) % 360).toString();
        return string.concat(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 300" font-family="system-ui,sans-serif" fill="#fff">',
            '<rect width="480" height="300" rx="24" fill="hsl(',
            hue,
            ',45%,28%)"/><circle cx="420" cy="40" r="150" fill="hsl(',
            hue,
            ',45%,36%)"/><text x="36" y="72" font-size="34" font-weight="600">',
            title,
            '</text><text x="36" y="212" font-size="22" opacity=".8">Tier</text><text x="36" y="252" font-size="34">',
            tier.toString(),
            '</text><text x="444" y="212" font-size="22" opacity=".8" text-anchor="end">Member since</text>',
            '<text x="444" y="252" font-size="34" text-anchor="end">',
            since,
            "</text></svg>"
        );
    }

    /// @dev Unix seconds to YYYY-MM-DD, by Howard Hinnant's days-to-civil (http://howardhinnant.github.io/date_algorithms.html).
    function date(uint256 timestamp) internal pure returns (string memory) {
        uint256 z = timestamp / 86_400 + 719_468;
        uint256 era = z / 146_097;
        uint256 dayOfEra = z - era * 146_097;
        uint256 yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        uint256 dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        uint256 shifted = (5 * dayOfYear + 2) / 153;
        uint256 day = dayOfYear - (153 * shifted + 2) / 5 + 1;
        uint256 month = shifted < 10 ? shifted + 3 : shifted - 9;
        uint256 year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
        return string.concat(year.toString(), "-", twoDigits(month), "-", twoDigits(day));
    }

    function twoDigits(uint256 number) private pure returns (string memory) {
        return number < 10 ? string.concat("0", number.toString()) : number.toString();
    }

    function escapeXml(string memory text) internal pure returns (string memory escaped) {
        bytes memory source = bytes(text);
        for (uint256 i = 0; i < source.length; ++i) {
            bytes1 c = source[i];
            if (c == "<") escaped = string.concat(escaped, "&lt;");
            else if (c == ">") escaped = string.concat(escaped, "&gt;");
            else if (c == "&") escaped = string.concat(escaped, "&amp;");
            else escaped = string.concat(escaped, string(abi.encodePacked(c)));
        }
    }
}
