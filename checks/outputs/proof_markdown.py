"""A proof in Markdown, for a file or for the summary of a GitHub Actions job."""

from __future__ import annotations

from checks.model import Outcome, Result
from checks.outputs.github import all_details, escaped
from checks.outputs.proof import Proof
from checks.trees import Tree


def render(proof: Proof) -> str:
    """Return the verdict, a table of the checks that it is about, and details of failures."""
    before, now = proof.trees
    decision = proof.decision
    lines = [
        f"## {'✅' if decision.is_proven else '❌'} connect-sim check prove: {decision.word}",
        "",
        f"Verdict: {escaped(decision.reason)}  ",
        f"Handler: {escaped(proof.now.target)}  ",
        f"Before: {escaped(describe(before))}  ",
        f"Now: {escaped(describe(now))}  ",
        f"Seed: {proof.now.seed}",
        "",
        *(f"- Note: {escaped(note)}" for note in proof.notes),
    ]
    if shown := proof.changed:
        lines += ["", "| Check | Level | Before | Now |", "|---|---|---|---|"]
        lines += [_row(*pair) for pair in shown]
        lines += ["", *all_details([failure for pair in shown for failure in _failures(*pair)])]
    return "\n".join(lines).rstrip("\n") + "\n\n"


def describe(tree: Tree) -> str:
    """Return which files a tree has: `main, commit 1a2b3c4d5e6f`."""
    if tree.has_changes is None:
        return f"{tree.name}, a folder without Git, {tree.id[:19]}"
    if tree.has_changes:
        return f"{tree.name}, uncommitted changes, tree {tree.id[:12]}"
    return f"{tree.name}, commit {tree.commit[:12]}"


def _row(before: Result, now: Result) -> str:
    check = before.check
    outcomes = before.verdict.outcome.value, now.verdict.outcome.value
    return f"| {escaped(check.id)} | {check.level.value} | {' | '.join(outcomes)} |"


def _failures(before: Result, now: Result) -> list[Result]:
    """Return the failure now, or else the one before."""
    failed = [each for each in (now, before) if each.verdict.outcome is Outcome.FAIL]
    return failed[:1]
