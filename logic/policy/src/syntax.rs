//! YAML to a tree that knows where each value stands.
//!
//! Only the part of YAML that the session language uses: one document of mappings, lists and
//! scalars. Anchors, aliases and tags are refused, so a small text cannot become a large tree;
//! depth, size and number of values are bounded, and the tree is built without recursion.

use std::collections::BTreeSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::diagnostic::{Diagnostic, Path, Position, Step};
use crate::problem::Problem;

/// Largest session in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of mappings and lists.
pub(crate) const MAX_DEPTH: usize = 32;
/// Most values and keys together.
pub(crate) const MAX_VALUES: usize = 20_000;

/// A value and where it starts.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) position: Position,
}

#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Text { text: String },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Position,
    pub(crate) node: Node,
}

impl Node {
    /// What this is, for messages.
    pub(crate) fn shape(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Where `path` leads, or where it ends in this tree.
    pub(crate) fn locate(&self, path: &Path) -> Position {
        let mut node = self;
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Key(key), _) => node.get(key).map(|entry| &entry.node),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.position
    }
}

/// Parses one document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Node, Vec<Diagnostic>> {
    if bytes.len() > MAX_BYTES {
        let start = Position { line: 1, column: 1 };
        return Err(vec![at(start, Problem::TooLarge { limit: MAX_BYTES })]);
    }
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let position = Position {
                line: 1 + good.matches('\n').count(),
                column: 1 + good.chars().rev().take_while(|c| *c != '\n').count(),
            };
            return Err(vec![at(position, Problem::NotUtf8)]);
        }
    };
    let mut builder = Builder::default();
    let parser = Parser::new_from_str(text);
    for event in parser {
        let outcome = match event {
            Ok((event, span)) => builder.event(event, position(&span.start)),
            Err(error) => Err((
                position(error.marker()),
                Problem::NotYaml {
                    message: error.info().to_owned(),
                },
            )),
        };
        if let Err((position, problem)) = outcome {
            builder.found.push(at(position, problem));
            return Err(builder.found);
        }
    }
    match builder.root {
        Some(root) if builder.found.is_empty() => Ok(root),
        None if builder.found.is_empty() => {
            Err(vec![at(Position { line: 1, column: 1 }, Problem::Empty)])
        }
        _ => Err(builder.found),
    }
}

fn at(position: Position, problem: Problem) -> Diagnostic {
    Diagnostic {
        position: Some(position),
        path: Path::default(),
        problem,
    }
}

fn position(marker: &Marker) -> Position {
    // The parser counts columns from 0.
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

/// A problem that ends the parse.
type Fatal = (Position, Problem);

/// A mapping or list that is still open.
enum Open {
    List {
        position: Position,
        items: Vec<Node>,
    },
    Map {
        position: Position,
        entries: Vec<Entry>,
        keys: BTreeSet<String>,
        key: Option<(String, Position)>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    values: usize,
    found: Vec<Diagnostic>,
}

impl Builder {
    /// Takes one event; an error ends the parse.
    fn event(&mut self, event: Event<'_>, position: Position) -> Result<(), Fatal> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((position, Problem::SecondDocument));
                }
                Ok(())
            }
            Event::Alias(_) => Err((position, Problem::AnchorOrAlias)),
            Event::Scalar(text, style, anchor, tag) => {
                self.admit(anchor, tag.is_some(), position)?;
                let value = match (&*text, style) {
                    ("" | "~" | "null" | "Null" | "NULL", ScalarStyle::Plain) => Value::Null,
                    _ => Value::Text {
                        text: text.into_owned(),
                    },
                };
                self.close(Node { value, position })
            }
            Event::SequenceStart(anchor, tag) => {
                self.admit(anchor, tag.is_some(), position)?;
                self.enter(
                    Open::List {
                        position,
                        items: Vec::new(),
                    },
                    position,
                )
            }
            Event::MappingStart(anchor, tag) => {
                self.admit(anchor, tag.is_some(), position)?;
                let map = Open::Map {
                    position,
                    entries: Vec::new(),
                    keys: BTreeSet::new(),
                    key: None,
                };
                self.enter(map, position)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List { position, items }) => Node {
                        value: Value::List(items),
                        position,
                    },
                    Some(Open::Map {
                        position, entries, ..
                    }) => Node {
                        value: Value::Map(entries),
                        position,
                    },
                    None => return Ok(()),
                };
                self.close(node)
            }
        }
    }

    fn admit(&mut self, anchor: usize, tag: bool, position: Position) -> Result<(), Fatal> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err((position, Problem::TooManyValues { limit: MAX_VALUES }));
        }
        if anchor != 0 {
            return Err((position, Problem::AnchorOrAlias));
        }
        if tag {
            return Err((position, Problem::Tag));
        }
        Ok(())
    }

    fn enter(&mut self, open: Open, position: Position) -> Result<(), Fatal> {
        if self.open.len() >= MAX_DEPTH {
            return Err((position, Problem::TooDeep { limit: MAX_DEPTH }));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn close(&mut self, node: Node) -> Result<(), Fatal> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                entries, keys, key, ..
            }) => match key.take() {
                None => match node.value {
                    Value::Text { text } => *key = Some((text, node.position)),
                    _ => return Err((node.position, Problem::KeyNotText)),
                },
                Some((name, key_position)) => {
                    if keys.insert(name.clone()) {
                        entries.push(Entry {
                            key: name,
                            key_position,
                            node,
                        });
                    } else {
                        let key = name.escape_debug().to_string();
                        self.found
                            .push(at(key_position, Problem::DuplicateKey { key }));
                    }
                }
            },
        }
        Ok(())
    }
}
