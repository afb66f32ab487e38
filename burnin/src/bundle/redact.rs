//! A report that can be shared: what tells one machine from another is replaced by a keyed hash (HMAC-SHA-256), wherever it
//! stands, in free text as well. What it measures stays, and so does the verdict.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use report::Report;
use serde_json::Value;
use sha2::Sha256;

/// Shorter ones are not looked for in free text: `0` or `x` stand everywhere.
const TEXT_MIN: usize = 4;

/// Why a report cannot be redacted.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// The redacted document is none any more: something that names the node is a part of a word of ours.
    #[error("redacting the report: a name of this node stands inside a word that must stay ({0})")]
    Unreadable(#[from] serde_json::Error),
}

/// The report with every serial number, hardware address, UUID, boot id and host name replaced.
pub fn redact(report: &Report, key: &[u8; 32]) -> Result<Report, RedactError> {
    let secrets = secrets(report, key);
    let mut value = serde_json::to_value(report)?;
    replace(&mut value, &secrets);
    Ok(serde_json::from_value(value)?)
}

/// Each secret and what stands for it, the longest first: one may be a part of another.
fn secrets(report: &Report, key: &[u8; 32]) -> Vec<(String, String)> {
    let node = &report.node;
    let mut plain: Vec<&String> = Vec::new();
    plain.extend(
        node.linux.iter().flat_map(|linux| [Some(&linux.boot_id), linux.hostname.as_ref()]).flatten(),
    );
    if let Some(dmi) = &node.dmi {
        let all = [&dmi.product_serial, &dmi.product_uuid, &dmi.board_serial, &dmi.chassis_serial];
        plain.extend(all.into_iter().flatten());
    }
    plain.extend(node.disks.iter().filter_map(|disk| disk.serial.as_ref()));
    let mut secrets: Vec<_> =
        plain.into_iter().map(|text| (text.clone(), format!("redacted-{}", hash(key, text, 8)))).collect();
    for mac in node.nics.iter().flat_map(|nic| [nic.mac, nic.mac_permanent]).flatten() {
        // An address of the form that is free for everybody to give (the bit for local administration).
        let digits = hash(key, &mac.to_string(), 5);
        let pairs: Vec<_> = (0..5).map(|n| &digits[2 * n..2 * n + 2]).collect();
        secrets.push((mac.to_string(), format!("02:{}", pairs.join(":"))));
    }
    let uuids = report.devices.iter().filter_map(|device| device.uuid.as_ref());
    secrets.extend(uuids.map(|uuid| (uuid.clone(), hash(key, uuid, 16))));
    secrets.retain(|(secret, _)| !secret.is_empty());
    secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    secrets
}

/// So many bytes of the keyed hash, in hexadecimal.
fn hash(key: &[u8; 32], text: &str, bytes: usize) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(text.as_bytes());
    let digest = mac.finalize().into_bytes();
    HEXLOWER.encode(&digest[..bytes.min(digest.len())])
}

fn replace(value: &mut Value, secrets: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (secret, hashed) in secrets {
                if text == secret {
                    text.clone_from(hashed);
                } else if secret.len() >= TEXT_MIN && text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), hashed);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, secrets)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, secrets)),
        _ => {}
    }
}
