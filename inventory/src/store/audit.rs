//! Who did what, and what was refused: written in the very transaction of what it records.

use crate::refusal::Refusal;

/// One line of the audit.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// `refused`, `transition`, `enrolled`, `report_accepted`, `token_created`, `conflict` and so on.
    pub action: &'static str,
    /// Code of the refusal.
    pub code: Option<&'static str>,
    /// Who: `operator`, `token:ID`, `node`, `inventory`, or `client` for one that is not known.
    pub actor: String,
    /// Where the request came from.
    pub source: Option<String>,
    /// The node it is about.
    pub node_id: Option<String>,
    /// The public id of the token it is about.
    pub token_id: Option<String>,
    /// The figures.
    pub detail: Option<String>,
    /// How many like it were not written before it.
    pub dropped: u64,
}

impl Entry {
    /// The line of a refusal.
    pub fn of_refusal(source: Option<&str>, refusal: &Refusal, dropped: u64) -> Self {
        Self {
            action: "refused",
            code: Some(refusal.code.as_str()),
            actor: refusal.actor.as_deref().map(ToOwned::to_owned).unwrap_or_else(|| {
                refusal.token_id.as_ref().map_or_else(|| "client".to_owned(), |id| format!("token:{id}"))
            }),
            source: source.map(ToOwned::to_owned),
            node_id: refusal.node_id.clone(),
            token_id: refusal.token_id.clone(),
            detail: Some(refusal.detail.clone().unwrap_or_else(|| refusal.code.title().to_owned())),
            dropped,
        }
    }
}
