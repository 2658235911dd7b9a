//! From the syntax tree to the session: shapes, keys and single values.
//!
//! Lowering goes on after a problem, so that all of them are found: where a value is wrong, it
//! reports and puts something harmless in its place. The result is a session only if nothing was
//! reported; relations between values are checked afterwards, by [`crate::check`].

mod access;
mod image;
mod secret;
mod service;

use std::collections::BTreeSet;

use crate::ast::Session;
use crate::check::Origins;
use crate::diagnostic::{Diagnostic, Path, Position};
use crate::problem::Problem;
use crate::syntax::{Entry, Node, Value};
use crate::table::{self, Origin};
use crate::template::{self, Template};
use crate::values::{Digest, SessionName};

/// Collects problems.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) found: Vec<Diagnostic>,
}

impl Report {
    fn add(&mut self, position: Position, path: &Path, problem: Problem) {
        self.found.push(Diagnostic {
            position: Some(position),
            path: path.clone(),
            problem,
        });
    }

    /// Reports a failure at `at` and gives what was parsed, if anything.
    fn take<T>(&mut self, at: &Cursor<'_>, result: Result<T, Problem>) -> Option<T> {
        result
            .map_err(|problem| self.add(at.node.position, &at.path, problem))
            .ok()
    }
}

/// A value of the tree and the way to it.
#[derive(Clone)]
struct Cursor<'a> {
    node: &'a Node,
    path: Path,
}

impl<'a> Cursor<'a> {
    fn wrong(&self, report: &mut Report, problem: Problem) {
        report.add(self.node.position, &self.path, problem);
    }

    fn wrong_shape(&self, report: &mut Report, wanted: &'static str) {
        self.wrong(
            report,
            Problem::WrongShape {
                wanted,
                found: self.node.shape(),
            },
        );
    }

    /// The text of a scalar. Numbers and truth values are text, as they were written.
    fn text(&self, report: &mut Report) -> Option<&'a str> {
        match &self.node.value {
            Value::Text { text } => Some(text),
            _ => {
                self.wrong_shape(report, "text");
                None
            }
        }
    }

    /// A scalar that `parse` accepts.
    fn parse<T>(
        &self,
        report: &mut Report,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let text = self.text(report)?;
        report.take(self, parse(text))
    }

    /// A scalar that is one of `supported`; those of `refused` are known, but get an error.
    fn choice(
        &self,
        report: &mut Report,
        what: &'static str,
        supported: &'static [&'static str],
        refused: &'static [&'static str],
    ) -> Option<&'static str> {
        self.parse(report, |text| {
            let find = |list: &'static [&'static str]| list.iter().find(|known| **known == text);
            if let Some(found) = find(supported) {
                return Ok(*found);
            }
            Err(match find(refused) {
                Some(value) => Problem::UnsupportedValue {
                    what,
                    value,
                    supported,
                },
                None => Problem::UnknownValue {
                    what,
                    value: text.to_owned(),
                    allowed: supported,
                    nearest: table::nearest(text, supported.iter().chain(refused).copied()),
                },
            })
        })
    }

    fn boolean(&self, report: &mut Report) -> Option<bool> {
        self.choice(report, "truth value", &["true", "false"], &[])
            .map(|text| text == "true")
    }

    fn number(&self, report: &mut Report, min: u64, max: u64) -> Option<u64> {
        self.parse(report, |text| {
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            match text.parse() {
                Ok(number) if plain && (min..=max).contains(&number) => Ok(number),
                _ => Err(Problem::NotInRange { min, max }),
            }
        })
    }

    /// The items of a list.
    fn items(&self, report: &mut Report) -> Vec<Self> {
        match &self.node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Cursor {
                    node,
                    path: self.path.index(index),
                })
                .collect(),
            _ => {
                self.wrong_shape(report, "a list");
                Vec::new()
            }
        }
    }

    /// The items of a list, or the value itself if it is not a list.
    fn one_or_more(&self, report: &mut Report) -> Vec<Self> {
        match &self.node.value {
            Value::List(_) => self.items(report),
            _ => vec![self.clone()],
        }
    }

    /// The entries of a mapping whose keys the author chooses.
    fn entries(&self, report: &mut Report) -> Vec<(&'a Entry, Self)> {
        match &self.node.value {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| {
                    (
                        entry,
                        Cursor {
                            node: &entry.node,
                            path: self.path.key(&entry.key),
                        },
                    )
                })
                .collect(),
            _ => {
                self.wrong_shape(report, "a mapping");
                Vec::new()
            }
        }
    }

    /// A template without NUL.
    fn template(&self, report: &mut Report, host: HostValues) -> Template {
        self.parse(report, |text| template(text, host))
            .unwrap_or_else(Template::empty)
    }
}

/// Whether `@@` asks for a value of the host's at this place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostValues {
    /// It does, and that is refused.
    Refused,
    /// `@@` is ordinary text.
    Ordinary,
}

/// Parses a template for a place in the session.
pub(crate) fn template(text: &str, host: HostValues) -> Result<Template, Problem> {
    if text.contains('\0') {
        return Err(Problem::ContainsNul);
    }
    if host == HostValues::Refused
        && let Some(reference) = template::host_argument(text)
    {
        return Err(Problem::HostArgument { reference });
    }
    Template::parse(text)
}

/// A mapping whose keys the table knows.
struct Fields<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping of `section`, reporting every key that cannot be used.
    fn open(report: &mut Report, cursor: Cursor<'a>, section: &'static str) -> Option<Self> {
        let Value::Map(entries) = &cursor.node.value else {
            cursor.wrong_shape(report, "a mapping");
            return None;
        };
        for Entry {
            key, key_position, ..
        } in entries
        {
            let problem = match table::keys(section).find(|known| known.name == key) {
                Some(known) if known.origin == Origin::SconeUnsupported => {
                    Problem::UnsupportedKey { key: known.name }
                }
                Some(_) => continue,
                None => Problem::UnknownKey {
                    key: key.clone(),
                    nearest: table::nearest(key, table::keys(section).map(|known| known.name)),
                },
            };
            report.add(*key_position, &cursor.path.key(key), problem);
        }
        Some(Self { cursor })
    }

    fn get(&self, key: &'static str) -> Option<Cursor<'a>> {
        let entry = self.cursor.node.get(key)?;
        Some(Cursor {
            node: &entry.node,
            path: self.cursor.path.key(key),
        })
    }

    fn require(
        &self,
        report: &mut Report,
        key: &'static str,
        help: &'static str,
    ) -> Option<Cursor<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.cursor.wrong(report, Problem::MissingKey { key, help });
        }
        found
    }

    /// Where the key stands, for problems with the key itself.
    fn key_position(&self, key: &str) -> Position {
        self.cursor
            .node
            .get(key)
            .map_or(self.cursor.node.position, |entry| entry.key_position)
    }
}

/// Lowers the whole session.
pub(crate) fn session(root: &Node, report: &mut Report) -> Option<(Session, Origins)> {
    let cursor = Cursor {
        node: root,
        path: Path::default(),
    };
    let fields = Fields::open(report, cursor, table::TOP)?;
    let name = fields
        .require(report, "name", "write `name: NAME`")
        .and_then(|at| at.parse(report, SessionName::parse))
        .unwrap_or_else(SessionName::absent);
    let language = fields
        .require(report, "version", "write `version: \"0.3\"`; sessions without one are of language 0.1, which is not supported")
        .and_then(|at| at.parse(report, version))
        .unwrap_or_default();
    let predecessor = fields
        .get("predecessor")
        .filter(|at| !matches!(at.node.value, Value::Null));
    let predecessor = predecessor.and_then(|at| at.parse(report, Digest::parse));

    let mut origins = Origins::default();
    let mut services = Vec::new();
    for (index, at) in list(&fields, "services", report) {
        if let Some(service) = service::lower(report, at) {
            services.push(service);
            origins.services.push(index);
        }
    }
    let mut secrets = Vec::new();
    for (index, at) in list(&fields, "secrets", report) {
        let name = name_of(&at);
        match secret::lower(report, at) {
            Some(secret) => {
                secrets.push(secret);
                origins.secrets.push(index);
            }
            None => origins.broken.extend(name),
        }
    }
    let mut images = Vec::new();
    for (index, at) in list(&fields, "images", report) {
        if let Some(image) = image::lower(report, at) {
            images.push(image);
            origins.images.push(index);
        }
    }
    let access = fields
        .get("access_policy")
        .map(|at| access::policy(report, at))
        .unwrap_or_default();
    let security = fields
        .get("security")
        .map(|at| access::security(report, at))
        .unwrap_or_default();
    let session = Session {
        language,
        name,
        predecessor,
        services,
        secrets,
        images,
        access,
        security,
    };
    Some((session, origins))
}

fn list<'a>(
    fields: &Fields<'a>,
    key: &'static str,
    report: &mut Report,
) -> Vec<(usize, Cursor<'a>)> {
    let items = fields
        .get(key)
        .map(|at| at.items(report))
        .unwrap_or_default();
    items.into_iter().enumerate().collect()
}

/// The name of something that could not be lowered, so that references to it are not reported too.
fn name_of(at: &Cursor<'_>) -> Option<String> {
    match &at.node.get("name")?.node.value {
        Value::Text { text } => Some(text.clone()),
        _ => None,
    }
}

/// Parses the language's version into its minor number.
fn version(text: &str) -> Result<u8, Problem> {
    let minor = match text.strip_prefix("0.3") {
        Some("") => Some(0),
        Some(rest) => rest
            .strip_prefix('.')
            .filter(|digits| !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|minor| *minor <= MAX_LANGUAGE),
        None => None,
    };
    minor.ok_or_else(|| Problem::UnknownVersion {
        value: text.to_owned(),
    })
}

/// The newest language: "0.3.12".
pub(crate) const MAX_LANGUAGE: u8 = 12;

/// Sorts and removes duplicates.
fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
