//! Dependencies between our crates point one way.

use cargo_metadata::Metadata;

use crate::tidy::Finding;

/// Which of our crates each of our crates may depend on.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("swarm-core", &[]),
    ("named-file", &[]),
    ("flag-file", &["named-file"]),
    ("certificate-files", &["named-file"]),
    ("tracker-server", &["swarm-core", "named-file", "flag-file", "certificate-files"]),
    ("peer-native", &["swarm-core", "named-file", "flag-file", "certificate-files"]),
    ("peer-wasm", &["swarm-core"]),
    ("tributary", &["flag-file", "tracker-server", "peer-native"]),
    ("swarm-sim", &["swarm-core", "tracker-server", "peer-native"]),
    ("fuzz", &["swarm-core", "tracker-server", "peer-native"]),
    ("tests", &["swarm-core", "tracker-server", "peer-native"]),
    ("xtask", &[]),
];

/// Whether every dependency of a member on a member is one of those allowed.
pub(super) fn point_one_way(metadata: &Metadata) -> Vec<Finding> {
    let members: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    metadata
        .packages
        .iter()
        .flat_map(|package| {
            let ours = package.dependencies.iter().map(|dependency| dependency.name.as_str());
            let ours: Vec<&str> = ours.filter(|name| members.contains(name)).collect();
            check(package.name.as_str(), &ours)
        })
        .collect()
}

fn check(member: &str, dependencies: &[&str]) -> Vec<Finding> {
    let path = format!("{member}/Cargo.toml");
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == member) else {
        return vec![Finding::new(&path, 1, "a new crate; say in xtask/src/tidy/edges.rs what it may use")];
    };
    dependencies
        .iter()
        .filter(|dependency| !allowed.contains(dependency))
        .map(|dependency| {
            let what = format!("{member} must not depend on {dependency}; see ARCHITECTURE.md");
            Finding::new(&path, 1, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upward_and_sideways_edges_are_found() {
        assert!(check("tracker-server", &["swarm-core"]).is_empty());
        assert_eq!(check("swarm-core", &["tracker-server"]).len(), 1);
        assert_eq!(check("peer-native", &["swarm-core", "tracker-server"]).len(), 1);
        assert_eq!(check("somebody-new", &[]).len(), 1);
    }
}
