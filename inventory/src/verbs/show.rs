//! The record as text for people: aligned columns, nothing from outside unchecked, and what to do next.

use std::fmt::Write as _;

use inventory::store::read::{AuditRow, NodeDetail, NodeSummary};
use inventory::store::{Filter, KeyRow, Readiness};
use inventory::store::{Verified, Wrong};
use jiff::Timestamp;
use report::text::clean;

use super::hardware::Hardware;

/// Nodes, one per line.
pub(crate) fn nodes(nodes: &[NodeSummary], filter: &Filter) -> String {
    if nodes.is_empty() {
        return match &filter.states[..] {
            [] if *filter == Filter::default() => {
                "no nodes yet: run `inventory serve`, make a token with `inventory token`, and boot a node with it\n"
                    .to_owned()
            }
            [state] => format!("no such node is {state}: `inventory nodes` lists all\n"),
            _ => "no node is like that: `inventory nodes` lists all\n".to_owned(),
        };
    }
    let rows = nodes.iter().map(|node| {
        [
            node.id.clone(),
            node.state.clone(),
            or_dash(node.pool.as_deref()),
            wish(&node.wish, node.hold),
            or_dash(node.verdict.as_deref()),
            node.reported_at.map_or_else(|| "-".to_owned(), time),
            or_dash(node.hostname.as_deref()),
            node.reason.clone().unwrap_or_default(),
        ]
    });
    table(["NODE", "STATE", "POOL", "WISH", "VERDICT", "REPORTED", "HOSTNAME", "REASON"], rows)
}

/// What is wanted of a node.
fn wish(wish: &str, hold: bool) -> String {
    if hold { format!("{wish}, held") } else { wish.to_owned() }
}

/// May a node take work, and what blocks it.
pub(crate) fn readiness(readiness: &Readiness) -> String {
    let answer = if readiness.ready { "ready" } else { "not ready" };
    let mut out = format!("{answer}, {}\n", readiness.state);
    let rows = readiness.conditions.iter().map(|condition| {
        let blocks = readiness.blocking.contains(&condition.kind);
        [
            condition.kind.clone(),
            format!("{:?}", condition.status),
            if blocks { "blocks".to_owned() } else { "-".to_owned() },
            time(condition.last_transition_time),
            condition.reason.clone(),
            condition.message.clone(),
        ]
    });
    out += &table(["CONDITION", "STATUS", "BLOCKS", "SINCE", "REASON", "MESSAGE"], rows);
    out
}

/// Access keys, one per line.
pub(crate) fn access_keys(keys: &[KeyRow]) -> String {
    if keys.is_empty() {
        return "no access keys: make one with `inventory access-key create`\n".to_owned();
    }
    let at = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), self::time);
    let rows = keys.iter().map(|key| {
        let (name, role) = (key.name.clone(), key.role.clone());
        [
            key.id.clone(),
            name,
            role,
            time(key.created_at),
            at(key.expires_at),
            at(key.revoked_at),
            at(key.used_at),
        ]
    });
    table(["KEY", "NAME", "ROLE", "CREATED", "EXPIRES", "REVOKED", "LAST USED"], rows)
}

/// The record of one node, a line for each field.
fn record(node: &NodeDetail) -> String {
    let summary = &node.summary;
    let labels: Vec<_> = summary.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let or_dash = |text: &Option<String>| or_dash(text.as_deref());
    let fields = [
        ("node", Some(summary.id.clone())),
        ("state", Some(summary.state.clone())),
        ("since", Some(time(summary.since))),
        ("pool", Some(or_dash(&summary.pool))),
        ("wish", Some(wish(&summary.wish, summary.hold))),
        ("owner", summary.owner.clone()),
        ("reason", summary.reason.clone()),
        ("hostname", Some(or_dash(&summary.hostname))),
        ("labels", (!labels.is_empty()).then(|| labels.join(" "))),
        ("created", Some(time(summary.created_at))),
        ("revision", Some(summary.revision.to_string())),
        ("public key", Some(node.public_key.clone())),
    ];
    let lines =
        fields.into_iter().filter_map(|(name, value)| Some(format!("{name:<11} {}\n", clean(&value?))));
    lines.collect()
}

/// One node with all that is known of it.
pub(crate) fn node(node: &NodeDetail, hardware: Option<&Hardware>) -> String {
    let mut out = record(node);
    let evidence = node.evidence.iter().map(|e| [e.kind.clone(), e.value.clone()]);
    section(
        &mut out,
        "identity",
        "nothing that tells it from others: the key alone names it",
        evidence,
        ["KIND", "VALUE"],
    );
    if !node.conflicts.is_empty() {
        let rows = node.conflicts.iter().map(|c| {
            [
                c.claimant_id.clone(),
                c.incumbent_id.clone(),
                c.evidence.kind.clone(),
                c.evidence.value.clone(),
                time(c.at),
            ]
        });
        section(&mut out, "conflicts", "", rows, ["CLAIMANT", "OWNER", "KIND", "VALUE", "TIME"]);
    }
    if let Some(hardware) = hardware {
        let title = format!("hardware, as report {} has it", hardware.revision);
        section(&mut out, &title, "nothing was discovered", hardware.rows().into_iter(), ["KIND", "WHAT"]);
    }
    let boots = node.boots.iter().map(|b| {
        let current = if b.is_current { "current" } else { "past" };
        [b.boot_id.clone(), current.to_owned(), b.plan.clone(), time(b.opened_at), b.revision.to_string()]
    });
    section(&mut out, "boots", "none", boots, ["BOOT", "IS", "PLAN", "ENROLLED", "REVISION"]);
    let reports = node.reports.iter().map(|r| {
        let finding = r.verdict.findings.first().map_or_else(String::new, |f| {
            let check = f.check.as_ref().map_or("report", |check| check.as_str());
            format!("{} {check} on {}: {}", f.reason.code, f.subject, f.reason.detail)
        });
        [
            r.revision.to_string(),
            time(r.received_at),
            r.sequence.to_string(),
            r.plan.clone(),
            r.verdict.verdict.to_string(),
            r.run_id.clone(),
            finding,
        ]
    });
    let heads = ["REVISION", "RECEIVED", "SEQUENCE", "PLAN", "VERDICT", "RUN", "GRAVEST FINDING"];
    section(&mut out, "reports", "none yet: the node has not finished its burn-in", reports, heads);
    let transitions = node.transitions.iter().map(|t| {
        let evidence = t.evidence.map_or_else(|| "-".to_owned(), |revision| format!("report {revision}"));
        [time(t.at), or_dash(t.from.as_deref()), t.to.clone(), t.cause.clone(), t.actor.clone(), evidence]
    });
    section(&mut out, "life", "none", transitions, ["TIME", "FROM", "TO", "CAUSE", "ACTOR", "EVIDENCE"]);
    out
}

/// The audit, one line each, the latest last.
pub(crate) fn audit(lines: &[AuditRow]) -> String {
    if lines.is_empty() {
        return "nothing happened yet: run `inventory serve` and make a token with `inventory token`\n"
            .to_owned();
    }
    let rows = lines.iter().map(|line| {
        let mut detail = line.detail.clone().unwrap_or_default();
        if line.dropped > 0 {
            let _ = write!(detail, " (and {} more like it before)", line.dropped);
        }
        [
            time(line.at),
            line.action.clone(),
            or_dash(line.code.as_deref()),
            line.actor.clone(),
            or_dash(line.source.as_deref()),
            or_dash(line.node_id.as_deref()),
            detail,
        ]
    });
    table(["TIME", "ACTION", "CODE", "ACTOR", "SOURCE", "NODE", "DETAIL"], rows)
}

/// What was read again, and what is wrong with it.
pub(crate) fn verified(verified: &Verified) -> String {
    let Verified { nodes, reports, signatures, audit_lines, audit_head, wrong } = verified;
    let mut out = format!(
        "{nodes} nodes, {reports} reports, {signatures} signatures, {audit_lines} lines of the audit, head {}\n",
        or_dash(audit_head.as_deref())
    );
    for Wrong { subject, detail } in wrong {
        let _ = writeln!(out, "wrong: {}: {}", clean(subject), clean(detail));
    }
    let end =
        if wrong.is_empty() { "all is as it was written" } else { "stop, keep a copy, and restore a backup" };
    let _ = writeln!(out, "{end}");
    out
}

fn section<const N: usize>(
    out: &mut String,
    title: &str,
    empty: &str,
    rows: impl Iterator<Item = [String; N]>,
    heads: [&str; N],
) {
    let mut rows = rows.peekable();
    let body = if rows.peek().is_none() { format!("{empty}\n") } else { table(heads, rows) };
    let _ = write!(out, "\n{title}\n");
    for line in body.lines() {
        let _ = writeln!(out, "  {line}");
    }
}

/// Columns as wide as their widest cell; the last as long as it is.
fn table<const N: usize>(heads: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.map(|row| row.map(|cell| clean(&cell))).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in std::iter::once(&heads.map(str::to_owned)).chain(&rows) {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory::lifecycle::State;

    #[test]
    fn columns_are_aligned_and_control_characters_do_not_reach_the_terminal() {
        let rows = [["a\x1b[2J".to_owned(), "b".to_owned()], ["longer".to_owned(), String::new()]];
        let text = table(["X", "Y"], rows.into_iter());
        assert_eq!(text, "X       Y\na?[2J   b\nlonger\n");
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(nodes(&[], &Filter::default()).contains("inventory token"));
        let failed = Filter { states: vec![State::Failed], ..Filter::default() };
        assert!(nodes(&[], &failed).contains("failed"));
        assert!(audit(&[]).contains("inventory serve"));
    }
}
