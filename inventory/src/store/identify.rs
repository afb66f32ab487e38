//! A claim beside the records there are: which of them share a value with it, what the match rule makes of it, and the
//! decision with its inputs, kept for good.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::audit::Entry;
use super::engine::{Answer, values};
use super::tx::{Tx, to_json};
use crate::identity::{Candidate, Claim, Decision, Effect, Evidence, Kind, Outcome, Weights, decide};

/// Code of a conflict in audit lines, and head of the reason of a node that is quarantined for one.
pub(super) const IDENTITY_CONFLICT: &str = "identity_conflict";
/// Most owners of one value that are looked at; more than one is a fault of the past already.
const OWNERS_MAX: u32 = 16;

/// All that a decision was made of, and the decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// What was claimed.
    pub claim: Claim,
    /// The records that it was compared with.
    pub candidates: Vec<Candidate>,
    /// What came of it.
    pub decision: Decision,
}

/// Compares a claim with all records that share a value with it. `besides` are taken as if they were not there.
pub(super) fn identify(
    tx: &Tx<'_>,
    owner_of: Option<&str>,
    evidence: &[Evidence],
    besides: &[&str],
    weights: &Weights,
) -> Answer<Inputs> {
    let own = owner_of.map(|own| held(tx, own)).transpose()?;
    let disowned = owner_of.map(|own| disowned(tx, own)).transpose()?.unwrap_or_default();
    let evidence: Vec<_> =
        evidence.iter().filter(|one| !disowned.iter().any(|d| d.names_the_same(one))).collect();
    let mut claimed: BTreeSet<&Evidence> = evidence.iter().copied().collect();
    // Is a value of the own record shared by many? Then to lack it is no contradiction.
    claimed.extend(own.iter().flatten());
    let mut nodes: BTreeSet<(String, bool)> = BTreeSet::new();
    for one in &claimed {
        nodes.extend(holders(tx, one, weights)?);
    }
    nodes.retain(|(node, _)| Some(node.as_str()) != owner_of && !besides.contains(&node.as_str()));
    let mut candidates = Vec::new();
    for (node, owns) in nodes {
        let mut evidence = held(tx, &node)?;
        if !owns {
            // It only shows how common a value is, and what tells it from others.
            evidence.retain(|e| {
                weights.of(e.kind).strength.is_anchor() || claimed.iter().any(|c| c.names_the_same(e))
            });
        }
        candidates.push(Candidate { node, owns, evidence });
    }
    candidates.extend(owner_of.zip(own).map(|(own, evidence)| Candidate {
        node: own.to_owned(),
        owns: true,
        evidence,
    }));
    let claim = Claim {
        owner_of: owner_of.map(ToOwned::to_owned),
        evidence: evidence.into_iter().cloned().collect(),
    };
    let decision = decide(&claim, &candidates, weights);
    Ok(Inputs { claim, candidates, decision })
}

/// Nodes that hold a value, with whether they are in good standing. Quarantined ones own nothing, and count only where
/// sharing can be learned; retired ones are no more.
fn holders(tx: &Tx<'_>, one: &Evidence, weights: &Weights) -> Answer<Vec<(String, bool)>> {
    let shared_max = weights.of(one.kind).shared_max;
    tx.all(
        "SELECT n.id, n.state <> 'quarantined' FROM evidence e JOIN nodes n ON n.id = e.node_id
         WHERE e.kind = ?1 AND e.value = ?2 AND e.standing = 'current' AND n.state <> 'retired'
           AND (n.state <> 'quarantined' OR ?3 = 1)
         ORDER BY CASE WHEN n.state = 'quarantined' THEN 1 ELSE 0 END, n.id LIMIT ?4",
        values![
            one.kind.as_str(),
            &one.value,
            shared_max.is_some(),
            // Twice as many as it takes, since some may not be told apart.
            shared_max.map_or(OWNERS_MAX, |max| OWNERS_MAX.max(2 * (max + 1))),
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// What a record holds.
pub(super) fn held(tx: &Tx<'_>, node: &str) -> Answer<Vec<Evidence>> {
    in_standing(tx, node, "current")
}

/// What an operator took off a record.
pub(super) fn disowned(tx: &Tx<'_>, node: &str) -> Answer<Vec<Evidence>> {
    in_standing(tx, node, "disowned")
}

fn in_standing(tx: &Tx<'_>, node: &str, standing: &str) -> Answer<Vec<Evidence>> {
    let rows: Vec<(String, String, Option<String>)> = tx.all(
        "SELECT kind, value, vendor FROM evidence WHERE node_id = ?1 AND standing = ?2 ORDER BY kind, value",
        values![node, standing],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    // A kind of a later version does not count here.
    let known = rows
        .into_iter()
        .filter_map(|(kind, value, vendor)| Some(Evidence { kind: Kind::parse(&kind)?, value, vendor }));
    Ok(known.collect())
}

/// The record takes over what is claimed: new values are added, parts that are gone are past. Writes differences only.
pub(super) fn hold(tx: &Tx<'_>, node: &str, claimed: &[Evidence]) -> Answer<()> {
    let before = held(tx, node)?;
    for one in claimed {
        let same = |held: &&Evidence| held.kind == one.kind && held.value == one.value;
        if before.iter().find(same).is_some_and(|held| one.vendor.is_none() || held.vendor == one.vendor) {
            continue;
        }
        tx.run(
            "INSERT INTO evidence (node_id, kind, value, vendor, first_seen_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (node_id, kind, value) DO UPDATE SET
                 vendor = coalesce(excluded.vendor, evidence.vendor),
                 standing = CASE WHEN evidence.standing = 'past' THEN 'current' ELSE evidence.standing END",
            values![node, one.kind.as_str(), &one.value, one.vendor.as_deref(), tx.now],
        )?;
    }
    // A kind of which nothing is claimed was perhaps not read.
    let is_gone = |held: &&Evidence| {
        let mut of_kind = claimed.iter().filter(|one| one.kind == held.kind).peekable();
        of_kind.peek().is_some() && of_kind.all(|one| one.value != held.value)
    };
    for gone in before.iter().filter(is_gone) {
        stand(tx, node, gone, "past")?;
    }
    Ok(())
}

/// Gives one value of a record another standing.
pub(super) fn stand(tx: &Tx<'_>, node: &str, one: &Evidence, standing: &str) -> Answer<()> {
    tx.run(
        "UPDATE evidence SET standing = ?4 WHERE node_id = ?1 AND kind = ?2 AND value = ?3",
        values![node, one.kind.as_str(), &one.value, standing],
    )?;
    Ok(())
}

/// What a decision is about beside its inputs.
pub(super) struct About<'a> {
    pub(super) node: &'a str,
    pub(super) effect: &'a str,
    pub(super) actor: &'a str,
    pub(super) request_sha256: Option<&'a [u8; 32]>,
    pub(super) revision: u64,
}

/// Keeps a decision of the rule with its inputs and weights.
pub(super) fn keep_decision(
    tx: &Tx<'_>,
    inputs: &Inputs,
    weights: &Weights,
    about: &About<'_>,
) -> Answer<()> {
    let (outcome, other, why) = match &inputs.decision.outcome {
        Outcome::Same { node } => ("same", Some(node.as_str()), None),
        Outcome::New => ("new", None, None),
        Outcome::Conflict { with, why } => ("conflict", Some(with.as_str()), Some(why.as_str())),
    };
    let body = weights.to_json();
    let digest = weights.digest();
    tx.run(
        "INSERT INTO weights (sha256, body, first_used_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        values![&digest, &body, tx.now],
    )?;
    tx.run(
        "INSERT INTO decisions (id, node_id, outcome, other_id, why, score, effect, inputs, weights, actor,
                                request_sha256, at_ms, revision)
         VALUES ((SELECT coalesce(max(id), 0) + 1 FROM decisions), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        values![
            about.node,
            outcome,
            other,
            why,
            inputs.decision.score(),
            about.effect,
            &to_json(inputs)?,
            &digest,
            about.actor,
            about.request_sha256,
            tx.now,
            about.revision,
        ],
    )?;
    Ok(())
}

/// Writes down what of the claim belongs to others, and the audit line of the conflict.
pub(super) fn keep_conflict(tx: &Tx<'_>, claimant: &str, inputs: &Inputs, revision: u64) -> Answer<()> {
    let others =
        || inputs.decision.comparisons.iter().filter(|c| c.node != claimant && c.outcome != Outcome::New);
    for comparison in others() {
        let values =
            comparison.matched.iter().flat_map(|m| m.values.iter().map(move |value| (m.kind, value)));
        for (kind, value) in values {
            tx.run(
                "INSERT INTO conflicts (claimant_id, incumbent_id, kind, value, at_ms, revision)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                values![claimant, &comparison.node, kind.as_str(), value, tx.now, revision],
            )?;
        }
    }
    let detail = inputs.decision.comparisons.iter().find(|c| c.outcome != Outcome::New).map(|c| {
        let matched: Vec<_> = c.matched.iter().map(|m| format!("{} {}", m.kind, m.points)).collect();
        format!("score {} with {}: {}", c.score, c.node, matched.join(", "))
    });
    tx.audit(&Entry {
        action: "conflict",
        code: Some(IDENTITY_CONFLICT),
        actor: "inventory".to_owned(),
        node_id: Some(claimant.to_owned()),
        detail,
        ..Entry::default()
    })
}

/// The reason of a node that is quarantined for this effect.
pub(super) fn reason(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Quarantine { with, why } => {
            Some(format!("{IDENTITY_CONFLICT}: {} ({with}): {}", why.as_str(), why.text()))
        }
        _ => None,
    }
}

/// The word of an effect in the store.
pub(super) fn word(effect: &Effect) -> &'static str {
    match effect {
        Effect::Keep => "keep",
        Effect::Create => "create",
        Effect::Rekey { .. } => "rekey",
        Effect::Quarantine { .. } => "quarantine",
        Effect::Refuse { .. } => "refuse",
        Effect::RefuseToken => "refuse_token",
    }
}
