//! Who may do what, and how strictly evidence is appraised.

use super::{Cursor, Fields, Report, sorted};
use crate::ast::{
    AccessPolicy, AccessRule, AttestationMode, IgnoredAdvisories, Security, Tolerance,
};
use crate::problem::Problem;
use crate::secrets::certificate::key_hash_of_pem;
use crate::syntax::Value;
use crate::table;
use crate::values::{AdvisoryId, Digest};

pub(super) fn policy(report: &mut Report, at: Cursor<'_>) -> AccessPolicy {
    let Some(fields) = Fields::open(report, at, table::ACCESS) else {
        return AccessPolicy::default();
    };
    let mut rule = |key| fields.get(key).map(|at| rule(report, &at));
    let read = rule("read").unwrap_or_default();
    let update = rule("update").unwrap_or_default();
    let create_sessions = rule("create_sessions").unwrap_or_else(|| update.clone());
    AccessPolicy {
        read,
        update,
        create_sessions,
    }
}

enum Entry {
    Creator,
    Any,
    None,
    Key(Digest),
}

fn rule(report: &mut Report, at: &Cursor<'_>) -> AccessRule {
    let items = at.one_or_more(report);
    if items.is_empty() {
        at.wrong(
            report,
            Problem::EmptyList {
                help: "write `NONE` to admit nobody",
            },
        );
    }
    let mut entries = Vec::new();
    for item in &items {
        if matches!(item.node.value, Value::Map(_)) {
            item.wrong(report, Problem::UnsupportedAccessEntry);
            continue;
        }
        entries.extend(item.parse(report, entry));
    }
    let count = entries.len();
    if count > 1 && entries.iter().any(|entry| matches!(entry, Entry::None)) {
        at.wrong(report, Problem::NoneWithOthers);
    }
    let mut creator = false;
    let mut keys = Vec::new();
    for entry in entries {
        match entry {
            Entry::None => return AccessRule::None,
            Entry::Any => return AccessRule::Any,
            Entry::Creator => creator = true,
            Entry::Key(key) => keys.push(key),
        }
    }
    AccessRule::Listed {
        creator,
        keys: sorted(keys),
    }
}

fn entry(text: &str) -> Result<Entry, Problem> {
    match text.trim() {
        "CREATOR" => Ok(Entry::Creator),
        "ANY" => Ok(Entry::Any),
        "NONE" => Ok(Entry::None),
        pem if pem.starts_with("-----BEGIN") => key_hash_of_pem(pem).map(Entry::Key),
        hash => Digest::parse(hash)
            .map(Entry::Key)
            .map_err(|_| Problem::NotAccessEntry),
    }
}

pub(super) fn security(report: &mut Report, at: Cursor<'_>) -> Security {
    let attestation = Fields::open(report, at, table::SECURITY)
        .and_then(|fields| fields.get("attestation"))
        .and_then(|at| Fields::open(report, at, table::ATTESTATION));
    let Some(fields) = attestation else {
        return Security::default();
    };
    let mode = fields
        .get("mode")
        .map(|at| mode(report, &at))
        .unwrap_or_default();
    let tolerate = fields.get("tolerate").map(|at| {
        let items = at.one_or_more(report);
        sorted(items.iter().filter_map(|at| tolerance(report, at)))
    });
    let tolerate = tolerate.unwrap_or_default();
    let ignore_advisories = fields
        .get("ignore_advisories")
        .map(|at| advisories(report, &at, &tolerate));
    Security {
        mode,
        tolerate,
        ignore_advisories: ignore_advisories.unwrap_or_default(),
    }
}

fn mode(report: &mut Report, at: &Cursor<'_>) -> AttestationMode {
    match at.choice(report, "attestation mode", &["hardware", "none"], &["maa"]) {
        Some("none") => AttestationMode::None,
        _ => AttestationMode::Hardware,
    }
}

fn tolerance(report: &mut Report, at: &Cursor<'_>) -> Option<Tolerance> {
    let refused = &["maa-managed-tcb", "local-attestation-trust-cas-tcb"];
    let name = at.choice(report, "tolerance", &Tolerance::NAMES, refused)?;
    Tolerance::ALL
        .into_iter()
        .find(|tolerance| tolerance.name() == name)
}

fn advisories(report: &mut Report, at: &Cursor<'_>, tolerate: &[Tolerance]) -> IgnoredAdvisories {
    let items = at.one_or_more(report);
    let all = |item: &Cursor<'_>| matches!(&item.node.value, Value::Text { text } if text == "*");
    if items.iter().any(all) {
        if !tolerate.contains(&Tolerance::DebugMode) {
            at.wrong(report, Problem::AllAdvisoriesWithoutDebug);
        }
        return IgnoredAdvisories::All;
    }
    IgnoredAdvisories::Listed(sorted(
        items
            .iter()
            .filter_map(|at| at.parse(report, AdvisoryId::parse)),
    ))
}
