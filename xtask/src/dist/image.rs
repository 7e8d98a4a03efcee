//! The container image: an archive in the form of the [OCI image layout] with the program and nothing else.
//!
//! Written here rather than by a builder of containers: the same bytes wherever it is made, and nothing to install.
//! `deploy/Containerfile` says the same for those who build images themselves.
//!
//! [OCI image layout]: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use crate::dist::archive::{Entry, gzip, tar};
use crate::dist::contents::Contents;
use crate::dist::{PACKAGE, digest};

/// Nobody: the program needs no rights.
const USER: &str = "65534:65534";

/// The archive.
pub(super) fn bytes(contents: &Contents, version: &str, time_s: u64) -> Result<Vec<u8>> {
    let files = tar(vec![Entry::program(PACKAGE, contents.program())], time_s)?;
    let layer = gzip(&files)?;
    let config = serde_json::to_vec(&config(&digest(&files)))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
    }))?;
    let mut named = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": format!("{PACKAGE}:{version}") });
    let index = serde_json::to_vec(&json!({ "schemaVersion": 2, "manifests": [named] }))?;
    let mut entries = vec![
        Entry::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        Entry::file("index.json", index),
    ];
    for blob in [config, manifest, layer] {
        entries.push(Entry::file(PathBuf::from("blobs/sha256").join(digest(&blob)), blob));
    }
    tar(entries, time_s)
}

fn described(kind: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", digest(bytes)), "size": bytes.len() })
}

/// What `deploy/Containerfile` says.
fn config(layer: &str) -> Value {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": USER,
            "ExposedPorts": { "8080/tcp": {} },
            "Entrypoint": [format!("/{PACKAGE}")],
            "Cmd": ["tracker", "--listen", "0.0.0.0:8080"],
            "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    #[test]
    fn every_blob_is_there_under_its_digest_and_is_named_from_the_index_on() {
        let bytes = bytes(&Contents::fake(), "1.2.3", 7).unwrap();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes);
        }
        let blob = |of: &Value| {
            let name = of["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = &files[&format!("blobs/sha256/{name}")];
            assert_eq!((digest(bytes).as_str(), bytes.len() as u64), (name, of["size"].as_u64().unwrap()));
            bytes.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(blob(&manifest["layers"][0]).as_slice())
            .read_to_end(&mut layer)
            .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", digest(&layer)));
        assert_eq!(config["config"]["Entrypoint"][0], "/tributary");
    }
}
