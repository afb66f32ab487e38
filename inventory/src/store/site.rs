//! What all servers on one database must agree on: a value by its name, kept as the first of them said it.

use super::Store;
use super::audit::Entry;
use super::engine::{Answer, values};
use super::tx::{Fault, Tx};
use crate::refusal::{Code, Refusal};

impl Store {
    /// The value of that name, if a server said one. Blocks on disk or network.
    pub fn agreed(&self, name: &str) -> Result<Option<String>, super::StoreError> {
        let sql = "SELECT value FROM site WHERE name = ?1";
        self.readers.with(|engine| engine.one(sql, values![name], |row| row.get(0)))
    }

    /// Says a value, unless there is one or it is to be replaced; gives the one that holds from now on.
    pub async fn agree(&self, name: &'static str, value: String, replace: bool) -> Result<String, Refusal> {
        let work = move |tx: &Tx<'_>| {
            if replace {
                put(tx, name, &value)?;
            }
            let sql = "INSERT INTO site (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            tx.run(sql, values![name, &value])?;
            let held = tx.one("SELECT value FROM site WHERE name = ?1", values![name], |row| row.get(0))?;
            held.ok_or_else(|| Fault::Refused(Code::Internal.into()))
        };
        self.writer.submit(None, work).await
    }
}

fn put(tx: &Tx<'_>, name: &str, value: &str) -> Answer<()> {
    let sql = "INSERT INTO site (name, value) VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.run(sql, values![name, value])?;
    tx.audit(&Entry {
        action: "site_changed",
        actor: "operator".to_owned(),
        detail: Some(format!("{name} is {value}")),
        ..Entry::default()
    })
}
