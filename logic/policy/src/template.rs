//! Text with references to secrets: `$$SCONE::NAME:FORMAT|escape(json)$$`.

use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::problem::Problem;
use crate::values::{LEGACY_SUFFIXES, SecretName};

const OPEN: &str = "$$SCONE::";
const CLOSE: &str = "$$";

/// A parsed text; two templates are equal if their sources are.
///
/// `$$` that does not open a reference stands for itself. A reference never spans lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Stands for itself.
    Text(String),
    /// Stands for the value of a secret.
    Reference(Reference),
}

/// A reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which secret.
    pub name: SecretName,
    /// How to write it: the text behind the first `:`, or a legacy suffix with its dot. Which
    /// formats exist depends on the kind of the secret.
    pub format: Option<String>,
    /// What to do with the result.
    pub escape: Option<Escape>,
}

/// How the text of a secret is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// As the inside of a JSON string (RFC 8259, section 7), without the quotes.
    Json,
}

impl Template {
    /// Parses `source`.
    ///
    /// # Errors
    /// The first thing that is wrong: an open reference, a name no secret can have, an unknown
    /// filter.
    pub fn parse(source: &str) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once(OPEN) {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (inside, behind) = after.split_once(CLOSE).ok_or(Problem::OpenReference)?;
            if inside.contains('\n') {
                return Err(Problem::OpenReference);
            }
            parts.push(Part::Reference(Reference::parse(inside)?));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The references, in order.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Reference(reference) => Some(reference),
        })
    }

    /// Stands where parsing failed and a problem was reported.
    pub(crate) fn empty() -> Self {
        Self {
            source: String::new(),
            parts: Vec::new(),
        }
    }
}

impl Reference {
    fn parse(inside: &str) -> Result<Self, Problem> {
        let (target, escape) = match inside.split_once('|') {
            None => (inside, None),
            Some((target, "escape(json)")) => (target, Some(Escape::Json)),
            Some((_, filter)) => {
                return Err(Problem::UnknownFilter {
                    filter: filter.to_owned(),
                });
            }
        };
        let (name, format) = match target.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => {
                let legacy = LEGACY_SUFFIXES.iter().find_map(|suffix| {
                    target
                        .strip_suffix(suffix)
                        .map(|name| (name, Some(*suffix)))
                });
                legacy.unwrap_or((target, None))
            }
        };
        let name = SecretName::parse(name)?;
        Ok(Self {
            name,
            format: format.map(str::to_owned),
            escape,
        })
    }
}

/// Finds `@@N` or `@@NAME:`, by which a session asks for a value of the host's.
pub(crate) fn host_argument(text: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.char_indices().find_map(|(at, _)| {
        let behind = text.get(at..)?.strip_prefix("@@")?;
        let name = behind.split(|c| !is_name(c)).next().unwrap_or_default();
        let digits = name
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        if !digits.is_empty() {
            return Some(format!("@@{digits}"));
        }
        let asks = !name.is_empty() && behind.get(name.len()..)?.starts_with(':');
        asks.then(|| format!("@@{name}:"))
    })
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Authors also write secrets into plain text.
        write!(f, "Template({} bytes)", self.source.len())
    }
}

impl<C> Encode<C> for Template {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.source)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Template {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::parse(d.str()?).map_err(decode::Error::message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(source: &str) -> Reference {
        let template = Template::parse(source).unwrap();
        let [Part::Reference(reference)] = template.parts() else {
            panic!("not one reference: {source}");
        };
        reference.clone()
    }

    #[test]
    fn references_have_name_format_and_filter() {
        for (source, name, format, escape) in [
            ("$$SCONE::a$$", "a", None, None),
            ("$$SCONE::a:hex$$", "a", Some("hex"), None),
            (
                "$$SCONE::a:pkcs8:pem|escape(json)$$",
                "a",
                Some("pkcs8:pem"),
                Some(Escape::Json),
            ),
            ("$$SCONE::a.crt$$", "a", Some(".crt"), None),
            (
                "$$SCONE::a.b.chain|escape(json)$$",
                "a.b",
                Some(".chain"),
                Some(Escape::Json),
            ),
            ("$$SCONE::pem:pem$$", "pem", Some("pem"), None),
            ("$$SCONE::hex$$", "hex", None, None),
        ] {
            let found = reference(source);
            assert_eq!(found.name.as_str(), name);
            assert_eq!(
                (found.format.as_deref(), found.escape),
                (format, escape),
                "{source}"
            );
        }
    }

    #[test]
    fn text_around_references_is_kept() {
        let template = Template::parse("a$$b $$SCONE::x$$$$SCONE::y$$ $$").unwrap();
        let text: Vec<_> = template
            .parts()
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Reference(r) => format!("<{}>", r.name),
            })
            .collect();
        assert_eq!(text.concat(), "a$$b <x><y> $$");
    }

    #[test]
    fn broken_references_are_refused() {
        for source in [
            "$$SCONE::",
            "$$SCONE::a",
            "$$SCONE::a$",
            "$$SCONE::$$",
            "$$SCONE:::hex$$",
            "$$SCONE::a|upper$$",
            "$$SCONE::a|$$",
            "$$SCONE::a b$$",
            "$$SCONE::.key$$",
            "$$SCONE::a\nb$$",
            "$$SCONE::$$SCONE::a$$$$",
            "$$SCONE::a.crt:pem$$",
        ] {
            assert!(Template::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn host_arguments_are_found() {
        for (text, found) in [
            ("@@1", Some("@@1")),
            ("--x=@@12y", Some("@@12")),
            ("@@HOME:", Some("@@HOME:")),
            ("@@@1", Some("@@1")),
            ("SELECT @@GLOBAL.x", None),
            ("a@@b", None),
            ("@@", None),
        ] {
            assert_eq!(host_argument(text).as_deref(), found, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_loses_nothing(source in "(\\$\\$SCONE::|\\$\\$|\\$|[a-z:.|]|\\PC){0,40}") {
            if let Ok(template) = Template::parse(&source) {
                let mut rebuilt = String::new();
                for part in template.parts() {
                    match part {
                        Part::Text(text) => {
                            prop_assert!(!text.contains(OPEN));
                            rebuilt.push_str(text);
                        }
                        Part::Reference(r) => {
                            let format = match r.format.as_deref() {
                                None => String::new(),
                                Some(legacy) if legacy.starts_with('.') && !source.contains(&format!("{}:{legacy}", r.name)) => legacy.to_owned(),
                                Some(format) => format!(":{format}"),
                            };
                            let escape = r.escape.map_or("", |Escape::Json| "|escape(json)");
                            rebuilt.push_str(&format!("{OPEN}{}{format}{escape}{CLOSE}", r.name));
                        }
                    }
                }
                prop_assert_eq!(rebuilt, source);
            }
        }

        #[test]
        fn templates_survive_cbor(source in "[a-z ]{0,9}(\\$\\$SCONE::[a-z]{1,5}(:hex)?\\$\\$[a-z$]{0,9}){0,3}") {
            if let Ok(template) = Template::parse(&source) {
                let bytes = minicbor::to_vec(&template).unwrap();
                prop_assert!(minicbor::decode::<Template>(&bytes).unwrap() == template);
            }
        }
    }
}
