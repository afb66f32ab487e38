//! Pages of the fleet, by what nodes have in common. A page looks at a bounded number of nodes, whatever is asked: where few
//! of them suit, it is short, and `next` still tells where to go on.

use serde::Serialize;

use crate::lifecycle::State;
use crate::selector::{Requirement, Selector};
use crate::store::StoreError;
use crate::store::engine::Value;
use crate::store::read::{NodeSummary, SUMMARY_COLUMNS, View, summary};

/// Nodes that one page looks at.
const LOOK_MAX: u32 = 2000;

/// Which nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; in any if empty.
    pub states: Vec<State>,
    /// With such labels.
    pub selector: Selector,
    /// With devices of this name.
    pub model: Option<String>,
    /// With a reason of this code.
    pub reason: Option<String>,
}

/// A part of the fleet, by id.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The nodes.
    pub nodes: Vec<NodeSummary>,
    /// Where to go on; absent at the end.
    pub next: Option<String>,
    /// The last change that the page knows of: watch from here.
    pub revision: u64,
}

/// A statement that is being made.
#[derive(Default)]
struct Statement<'a> {
    conditions: Vec<String>,
    values: Vec<Value<'a>>,
}

impl<'a> Statement<'a> {
    /// The name of a value.
    fn value(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn values(&mut self, values: &'a [String]) -> String {
        values.iter().map(|value| self.value(value)).collect::<Vec<_>>().join(", ")
    }

    fn text(&self, what: &str, from: &str) -> String {
        format!("SELECT {what} FROM {from} WHERE {}", self.conditions.join(" AND "))
    }
}

/// By what the candidates are found, in the order of their ids: whatever is likely to leave the fewest.
enum Drive<'a> {
    Label(&'a str, &'a str),
    Nodes,
}

impl View {
    /// The nodes after `after` that suit, at most `limit` of them.
    pub fn page(&self, filter: &Filter, after: &str, limit: u32) -> Result<Page, StoreError> {
        let revision = self.head()?;
        let drive = drive(filter);
        let end = self.end_of_look(&drive, filter, after)?;
        let (mut statement, from, id) = candidates(&drive, filter);
        let first = statement.value(after);
        statement.conditions.push(format!("{id} > {first}"));
        if let Some(end) = &end {
            let last = statement.value(end);
            statement.conditions.push(format!("{id} <= {last}"));
        }
        restrict(&mut statement, filter);
        let rows = statement.value(limit.saturating_add(1));
        let sql = format!("{} ORDER BY {id} LIMIT {rows}", statement.text(SUMMARY_COLUMNS, from));
        let mut nodes = self.all(&sql, &statement.values, summary)?;
        let next = if nodes.len() > limit as usize {
            nodes.truncate(limit as usize);
            nodes.last().map(|node| node.id.clone())
        } else {
            end
        };
        Ok(Page { nodes, next, revision })
    }

    /// All nodes, or those in one state, by name.
    pub fn nodes(&self, state: Option<State>) -> Result<Vec<NodeSummary>, StoreError> {
        self.pages(&Filter { states: state.into_iter().collect(), ..Filter::default() })
    }

    /// All nodes that suit, page after page of one moment.
    pub fn pages(&self, filter: &Filter) -> Result<Vec<NodeSummary>, StoreError> {
        let (mut all, mut after) = (Vec::new(), Some(String::new()));
        while let Some(last) = after {
            let page = self.page(filter, &last, LOOK_MAX)?;
            all.extend(page.nodes);
            after = page.next;
        }
        Ok(all)
    }

    /// The last candidate that one page looks at; absent if it can look at all that are left.
    fn end_of_look(
        &self,
        drive: &Drive<'_>,
        filter: &Filter,
        after: &str,
    ) -> Result<Option<String>, StoreError> {
        let (mut statement, from, id) = candidates(drive, filter);
        let first = statement.value(after);
        statement.conditions.push(format!("{id} > {first}"));
        let skip = statement.value(LOOK_MAX - 1);
        let sql = format!("{} ORDER BY {id} LIMIT 1 OFFSET {skip}", statement.text(id, from));
        self.one(&sql, &statement.values, |row| row.get(0))
    }
}

fn drive(filter: &Filter) -> Drive<'_> {
    let label = filter.selector.0.iter().find_map(|requirement| match requirement {
        Requirement::In(key, values) if values.len() == 1 => Some(Drive::Label(key, values.first()?)),
        _ => None,
    });
    label.unwrap_or(Drive::Nodes)
}

/// The start of a statement that finds candidates, what it finds them in, and the column of their ids.
fn candidates<'a>(drive: &Drive<'a>, filter: &'a Filter) -> (Statement<'a>, &'static str, &'static str) {
    let mut statement = Statement::default();
    match drive {
        Drive::Label(key, value) => {
            let (key, value) = (statement.value(*key), statement.value(*value));
            statement.conditions.push(format!("l.key = {key} AND l.value = {value} AND n.id = l.node_id"));
            // A cross join keeps the order of the tables, and with it that of the ids.
            (statement, "labels l CROSS JOIN nodes n", "l.node_id")
        }
        Drive::Nodes => {
            // One equality, so that an index gives the nodes in order; the rest is looked at row by row.
            if let Some(model) = &filter.model {
                let model = statement.value(model);
                statement.conditions.push(format!("n.model = {model}"));
            } else if let Some(reason) = &filter.reason {
                let reason = statement.value(reason);
                statement.conditions.push(format!("n.reason_code = {reason}"));
            } else if let [state] = filter.states[..] {
                let state = statement.value(state.as_str());
                statement.conditions.push(format!("n.state = {state}"));
            }
            (statement, "nodes n", "n.id")
        }
    }
}

/// Everything that the filter asks for.
fn restrict<'a>(statement: &mut Statement<'a>, filter: &'a Filter) {
    if !filter.states.is_empty() {
        let states: Vec<_> = filter.states.iter().map(|state| statement.value(state.as_str())).collect();
        statement.conditions.push(format!("n.state IN ({})", states.join(", ")));
    }
    for (column, wanted) in [("n.model", &filter.model), ("n.reason_code", &filter.reason)] {
        if let Some(wanted) = wanted {
            let wanted = statement.value(wanted);
            statement.conditions.push(format!("{column} = {wanted}"));
        }
    }
    for requirement in &filter.selector.0 {
        let (not, key, values) = match requirement {
            Requirement::In(key, values) => ("", key, Some(values)),
            Requirement::NotIn(key, values) => ("NOT ", key, Some(values)),
            Requirement::Exists(key) => ("", key, None),
            Requirement::Absent(key) => ("NOT ", key, None),
        };
        let key = statement.value(key);
        let values = values.map(|values| format!(" AND s.value IN ({})", statement.values(values)));
        statement.conditions.push(format!(
            "{not}EXISTS (SELECT 1 FROM labels s WHERE s.node_id = n.id AND s.key = {key}{})",
            values.unwrap_or_default()
        ));
    }
}
