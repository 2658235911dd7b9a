//! The rules: who may depend on whom, who may be unsafe, who must do without the standard library.

use std::path::Path;

use super::metadata::Package;

/// For each layer, the folders that its crates may depend on. A folder stands for all crates below
/// it. What is not listed is forbidden, a new layer included.
const ALLOWED: &[(&str, &[&str])] = &[
    ("abi", &["abi"]),
    ("logic", &["abi", "logic"]),
    ("platform", &["abi", "logic", "platform"]),
    ("runtime", &["abi", "logic", "platform", "runtime"]),
    (
        "host",
        &[
            "abi",
            "logic/evidence",
            "logic/measure",
            "logic/crypto",
            "host",
        ],
    ),
    ("control", &["abi", "logic", "control"]),
    ("delivery", &["abi", "logic", "delivery"]),
    (
        "cli",
        &[
            "abi",
            "logic",
            "host",
            "control/cas-api",
            "control/cas-client",
            "delivery",
            "cli",
        ],
    ),
    // Builds the others, links none of them.
    ("xtask", &[]),
    // Outside the product: they may look at any untrusted input's reader, which the parts of the
    // runtime that hold no unsafe code have, too.
    (
        "fuzz",
        &[
            "abi",
            "logic",
            "host",
            "control",
            "runtime/boot",
            "runtime/kernel",
        ],
    ),
    (
        "tests",
        &[
            "abi", "logic", "host", "control", "delivery", "cli", "tests",
        ],
    ),
];

/// Crates of `logic` that the runtime does not link, so that they may use the standard library.
const WITH_STD: &[&str] = &["logic/evidence", "logic/policy"];

/// Where unsafe code may be: what touches silicon or the host's kernel, and the runtime's entry.
const UNSAFE: &[&str] = &["platform", "host/launcher", "runtime/bin"];

/// The breaches of one crate's dependencies, each as `crate → dependency: why`.
pub(super) fn dependencies(package: &Package) -> Vec<String> {
    let from = package.folder.display();
    let Some((layer, allowed)) = ALLOWED
        .iter()
        .find(|(layer, _)| package.folder.starts_with(layer))
    else {
        return vec![format!("{from}: is in no layer")];
    };
    let mut breaches: Vec<String> = package
        .dependencies
        .iter()
        .filter(|to| !is_below(to, allowed))
        .map(|to| {
            let allowed = if allowed.is_empty() {
                "nothing".to_owned()
            } else {
                allowed.join(", ")
            };
            format!("{from} → {}: {layer} may see {allowed}", to.display())
        })
        .collect();
    if must_be_freestanding(&package.folder) {
        breaches.extend(
            package
                .dependencies
                .iter()
                .filter(|to| is_below(to, WITH_STD))
                .map(|to| {
                    format!(
                        "{from} → {}: the runtime links the former, the latter needs std",
                        to.display()
                    )
                }),
        );
    }
    breaches
}

/// Whether a crate may contain unsafe code.
pub(super) fn may_be_unsafe(folder: &Path) -> bool {
    is_below(folder, UNSAFE)
}

/// Whether a crate must do without the standard library: the runtime links it, or may.
pub(super) fn must_be_freestanding(folder: &Path) -> bool {
    is_below(folder, &["abi", "logic", "platform", "runtime"]) && !is_below(folder, WITH_STD)
}

fn is_below(folder: &Path, folders: &[&str]) -> bool {
    folders.iter().any(|above| folder.starts_with(above))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(folder: &str, dependencies: &[&str]) -> Vec<String> {
        super::dependencies(&Package {
            name: "bannock-x".to_owned(),
            folder: folder.into(),
            dependencies: dependencies.iter().map(Into::into).collect(),
        })
    }

    #[test]
    fn arrows_that_point_down_are_accepted() {
        for (from, to) in [
            ("logic/policy", &["abi/wire", "logic/evidence"][..]),
            (
                "platform/process",
                &["abi/wire", "logic/elf", "platform/api"],
            ),
            (
                "runtime/bin",
                &["runtime/kernel", "platform/process", "logic/crypto"],
            ),
            ("host/las", &["abi/wire", "host/launcher", "logic/evidence"]),
            ("control/cas", &["control/cas-core", "logic/policy"]),
            ("cli", &["host/las", "control/cas-client", "logic/policy"]),
            ("xtask", &[]),
            ("fuzz", &["control/cas", "runtime/boot", "runtime/kernel"]),
        ] {
            assert_eq!(breaches(from, to), [""; 0], "{from}");
        }
    }

    #[test]
    fn every_other_arrow_is_named() {
        for (from, to) in [
            ("abi/wire", "logic/crypto"),
            ("logic/elf", "platform/api"),
            ("logic/policy", "control/cas-api"),
            ("platform/api", "runtime/kernel"),
            ("platform/process", "host/launcher"),
            ("runtime/boot", "host/las"),
            ("runtime/boot", "logic/evidence"),
            ("runtime/kernel", "logic/policy"),
            ("logic/measure", "logic/policy"),
            ("host/las", "logic/policy"),
            ("host/las", "control/cas-core"),
            ("control/cas-core", "platform/api"),
            ("control/cas", "host/simulated-platform"),
            ("delivery/image", "runtime/kernel"),
            ("cli", "control/cas-core"),
            ("cli", "platform/process"),
            ("xtask", "abi/wire"),
            ("fuzz", "runtime/bin"),
            ("fuzz", "platform/process"),
        ] {
            let found = breaches(from, &[to]);
            assert_eq!(found.len(), 1, "{from} → {to}: {found:?}");
            assert!(
                found[0].starts_with(&format!("{from} → {to}: ")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_folder_is_more_than_the_beginning_of_a_name() {
        assert_eq!(breaches("host/las", &["logic/evidence-tools"]).len(), 1);
        assert_eq!(
            breaches("abilities/x", &[]),
            ["abilities/x: is in no layer"]
        );
        assert!(!may_be_unsafe(Path::new("host/launcher-tools")));
    }

    #[test]
    fn the_runtime_links_only_what_does_without_std() {
        for folder in [
            "abi/wire",
            "logic/crypto",
            "platform/api",
            "runtime/bin",
            "logic/volume",
        ] {
            assert!(must_be_freestanding(Path::new(folder)), "{folder}");
        }
        for folder in [
            "logic/evidence",
            "logic/policy",
            "host/las",
            "control/cas",
            "cli",
        ] {
            assert!(!must_be_freestanding(Path::new(folder)), "{folder}");
        }
    }
}
