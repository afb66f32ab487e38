//! What an image is made of, as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3): packages with version, origin and digest.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::cpio::Files;
use crate::lock::Package;

/// Those of the packages, unpacked in a root, of which a file is in the image.
pub(crate) fn used<'a>(root: &Path, packages: &[&'a Package], files: &Files) -> Vec<&'a Package> {
    let holds = |package: &&&Package| {
        let listed = std::fs::read_to_string(root.join(".packages").join(&package.name)).unwrap_or_default();
        listed.lines().any(|line| files.contains_key(line.trim_start_matches("./")))
    };
    packages.iter().filter(holds).copied().collect()
}

/// The document. Its namespace follows from its content, and its time is the lock's: the same image, the same bytes.
pub(crate) fn document(name: &str, digest: &str, created: &str, packages: &[&Package]) -> Value {
    let packages: Vec<Value> = packages.iter().map(|package| entry(package)).collect();
    let ids: BTreeSet<&str> = packages.iter().filter_map(|package| package["SPDXID"].as_str()).collect();
    let describes = |id: &&str| json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": id});
    let relationships: Vec<Value> = ids.iter().map(describes).collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("urn:sha256:{digest}"),
        "creationInfo": {"created": created, "creators": [format!("Tool: assay-images-{}", env!("CARGO_PKG_VERSION"))]},
        "packages": packages,
        "relationships": relationships,
    })
}

fn entry(package: &Package) -> Value {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let id: String = package.name.chars().map(plain).collect();
    // Of a URL's special characters a Debian version has these.
    let version = package.version.replace('+', "%2B").replace('~', "%7E").replace(':', "%3A");
    json!({
        "SPDXID": format!("SPDXRef-{id}"),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:deb/debian/{}@{version}?arch=amd64&distro={}", package.name, package.suite),
        }],
    })
}
