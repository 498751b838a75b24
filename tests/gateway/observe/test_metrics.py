"""Every metric that a dashboard or an alarm names is there, on a gateway that has worked."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.observe.counters import SIGNING_REFUSED
from tests.gateway.helpers import Town, fresh

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_metrics__named_by_dashboard_and_alarms__are_all_there(town: Town) -> None:
    town.post("/v1/issuances", {"member": town.ada.id, "points": 2, "reference": fresh("till")})
    town.network.gateway.drain()
    SIGNING_REFUSED.labels("signing_cap_reached").inc(0)
    there = town.get("/metrics", by=town.operator_key).text
    told = {line.split("{")[0].split(" ")[0] for line in there.splitlines() if line[:1] != "#"}
    # A family may have no line yet: where relaying is free nobody looks at balances.
    told |= set(re.findall(r"^# TYPE (\w+) ", there, re.M))
    for file in ("grafana/banyan.json", "prometheus/alerts.yml"):
        named = set(re.findall(r"\bbanyan_[a-z_]+", (DEPLOY / file).read_text()))
        assert len(named) > 5
        assert named <= told, (file, named - told)


def test_metrics__in_their_text__name_no_member_merchant_or_order(town: Town) -> None:
    there = town.get("/metrics", by=town.operator_key).text
    for word in (town.ada.id, town.baker.id, town.baker.slug, "card-ada", town.ada.address, "ord_"):
        assert word not in there
