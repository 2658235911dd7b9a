//! Images: injected files, measured trees and mounts.

use super::{Cursor, Fields, HostValues, Report};
use crate::ast::{Image, InjectionFile, Mount, MountKind, Tree};
use crate::problem::Problem;
use crate::syntax::Value;
use crate::table;
use crate::template::Template;
use crate::values::{AbsolutePath, Digest, Name};

/// Permission bits of an injected file for which the session names none.
const DEFAULT_PERMISSION: u16 = 0o700;

pub(super) fn lower(report: &mut Report, at: Cursor<'_>) -> Option<Image> {
    let fields = Fields::open(report, at, table::IMAGE)?;
    let name = fields
        .require(report, "name", "write `name: NAME`")
        .and_then(|at| at.parse(report, Name::parse))
        .unwrap_or_else(Name::absent);
    // A failed item keeps its place, so that later checks name the right one.
    let injection_files = items(&fields, "injection_files", report);
    let injection_files = injection_files
        .into_iter()
        .map(|at| injection(report, at))
        .collect();
    let trees = items(&fields, "trees", report);
    let trees = trees.into_iter().map(|at| tree(report, at)).collect();
    let mounts = items(&fields, "mounts", report);
    let mounts = mounts.into_iter().map(|at| mount(report, at)).collect();
    Some(Image {
        name,
        injection_files,
        trees,
        mounts,
    })
}

fn items<'a>(fields: &Fields<'a>, key: &'static str, report: &mut Report) -> Vec<Cursor<'a>> {
    fields
        .get(key)
        .map(|at| at.items(report))
        .unwrap_or_default()
}

fn path(report: &mut Report, fields: &Fields<'_>) -> AbsolutePath {
    fields
        .require(report, "path", "write `path:` and an absolute path")
        .and_then(|at| at.parse(report, AbsolutePath::parse))
        .unwrap_or_else(AbsolutePath::absent)
}

fn injection(report: &mut Report, at: Cursor<'_>) -> InjectionFile {
    let mut file = InjectionFile {
        path: AbsolutePath::absent(),
        content: Template::empty(),
        permission: DEFAULT_PERMISSION,
    };
    if let Value::Text { text } = &at.node.value {
        let path = text.clone();
        at.wrong(report, Problem::InjectionWithoutContent { path });
        return file;
    }
    let Some(fields) = Fields::open(report, at, table::INJECTION) else {
        return file;
    };
    file.path = path(report, &fields);
    let help = "write `content:` and the file's text";
    if let Some(at) = fields.require(report, "content", help) {
        file.content = at.template(report, HostValues::Ordinary);
    }
    if let Some(at) = fields.get("permission")
        && let Some(bits) = at.parse(report, permission)
    {
        file.permission = bits;
    }
    file
}

/// Parses octal permission bits. A leading zero is required: `600` in YAML is six hundred.
fn permission(text: &str) -> Result<u16, Problem> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'));
    match digits {
        Some("") if text == "0" => Ok(0),
        Some(digits) if digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
            u16::from_str_radix(digits, 8)
                .ok()
                .filter(|bits| *bits <= 0o777)
                .ok_or(Problem::NotPermission)
        }
        _ => Err(Problem::NotPermission),
    }
}

fn tree(report: &mut Report, at: Cursor<'_>) -> Tree {
    let mut tree = Tree {
        path: AbsolutePath::absent(),
        digest: Digest([0; 32]),
        manifest: None,
    };
    let Some(fields) = Fields::open(report, at, table::TREE) else {
        return tree;
    };
    tree.path = path(report, &fields);
    let help = "write `digest:` and the root digest that `bannock tree measure` prints";
    if let Some(at) = fields.require(report, "digest", help)
        && let Some(digest) = at.parse(report, Digest::parse)
    {
        tree.digest = digest;
    }
    tree.manifest = fields
        .get("manifest")
        .and_then(|at| at.parse(report, AbsolutePath::parse));
    tree
}

fn mount(report: &mut Report, at: Cursor<'_>) -> Mount {
    let mut mount = Mount {
        path: AbsolutePath::absent(),
        kind: MountKind::Memory,
    };
    let Some(fields) = Fields::open(report, at, table::MOUNT) else {
        return mount;
    };
    mount.path = path(report, &fields);
    let kind = fields
        .require(report, "kind", "write `kind: memory` or `kind: host`")
        .and_then(|at| at.choice(report, "kind of mount", &["memory", "host"], &[]));
    let source = fields.get("source");
    let read_only = fields.get("read_only");
    match kind {
        Some("host") => {
            let source = fields
                .require(
                    report,
                    "source",
                    "write `source:` and the directory on the host",
                )
                .and_then(|at| at.parse(report, AbsolutePath::parse));
            let read_only = read_only.and_then(|at| at.boolean(report)).unwrap_or(false);
            if let Some(source) = source {
                mount.kind = MountKind::Host { source, read_only };
            }
        }
        Some(_) => {
            for (key, found) in [("source", source), ("read_only", read_only)] {
                if let Some(at) = found {
                    let position = fields.key_position(key);
                    report.add(position, &at.path, Problem::KeyOfOtherMount { key });
                }
            }
        }
        None => {}
    }
    mount
}

#[cfg(test)]
mod tests {
    use super::permission;

    #[test]
    fn permissions_are_octal() {
        for (text, bits) in [
            ("0o600", 0o600),
            ("0644", 0o644),
            ("0o0", 0),
            ("0", 0),
            ("0o777", 0o777),
        ] {
            assert_eq!(permission(text), Ok(bits), "{text}");
        }
        for text in [
            "", "600", "0o", "0o1000", "0o8", "rw", "0x1ff", "-1", "04755", "0o+7",
        ] {
            assert!(permission(text).is_err(), "{text}");
        }
    }
}
