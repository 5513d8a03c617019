"""The receipt of a proof as JSON, by the schema in receipt.schema.json."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

from checks.model import Result
from checks.outputs.proof import Proof
from checks.trees import Tree

FORMAT = 1
# Of the documents of this format. Other programs may rely on it: a new format has its own number.
SCHEMA = Path(__file__).with_name("receipt.schema.json")


def render(proof: Proof) -> str:
    """Return the document, indented, in ASCII."""
    return json.dumps(as_json(proof), indent=2) + "\n"


def as_json(proof: Proof) -> dict[str, Any]:
    """Return the verdict, what it is about, and how each check ended before and now."""
    before, now = proof.trees
    decision = proof.decision
    return {
        "format": FORMAT,
        "verdict": "proven" if decision.is_proven else "not_proven",
        "exit_code": decision.exit_code,
        "reason": decision.reason,
        "before": _tree(before),
        "now": _tree(now),
        "handler": proof.now.target,
        "command": proof.command,
        "seed": proof.now.seed,
        "strict": proof.now.strict,
        "started_at": proof.before.started_at,
        "seconds": round(proof.before.seconds + proof.now.seconds, 2),
        "versions": {
            "connect_sim": proof.now.version,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "selected": list(decision.selected),
        "checks": [
            {
                "id": first.check.id,
                "level": first.check.level.value,
                "is_selected": first.check.id in decision.selected,
                "before": _result(first),
                "now": _result(second),
            }
            for first, second in proof.pairs
        ],
        "notes": proof.notes,
    }


def _tree(tree: Tree) -> dict[str, Any]:
    return {
        "name": tree.name,
        "commit": tree.commit or None,
        "tree": tree.id,
        "uncommitted_changes": tree.has_changes,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "outcome": result.verdict.outcome.value,
        "text": result.verdict.text,
        "evidence_sha256": _digest(result),
    }


def _digest(result: Result) -> str:
    """Return the SHA-256 of the evidence, as compact JSON whose keys are sorted."""
    evidence = [{"title": each.title, "lines": each.lines} for each in result.verdict.evidence]
    text = json.dumps(evidence, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
