//! What one service is given: templates rendered, images resolved.

use bannock_wire::config::{InjectedFile, Mount, MountKind, ServiceConfig, Tree, Variable};
use zeroize::Zeroizing;

use crate::ast::{self, Session};
use crate::format::Format;
use crate::secrets::{RenderError, SecretValues};
use crate::template::{Escape, Part, Reference, Template};
use crate::values::AbsolutePath;

/// Why a service cannot be given its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The session has no such service.
    #[error("session `{session}` has no service `{}`", .service.escape_debug())]
    NoService {
        /// The session's name.
        session: String,
        /// The name asked for.
        service: String,
    },
    /// The values were made for another session.
    #[error("there is no value for secret `{name}`; values and session do not belong together")]
    NoValue {
        /// Which secret.
        name: String,
    },
    /// The value is of another kind than the session says.
    #[error("secret `{name}` cannot be rendered")]
    Render {
        /// Which secret.
        name: String,
        /// What it lacks.
        #[source]
        source: RenderError,
    },
    /// Text was rendered from bytes.
    #[error("{place} of service `{service}` is not text without NUL once secrets are filled in")]
    NotText {
        /// Which service.
        service: String,
        /// Where.
        place: &'static str,
    },
    /// The working directory is no directory's path.
    #[error(
        "`pwd` of service `{service}` is not an absolute, normalized path once secrets are filled in"
    )]
    NotAbsolutePwd {
        /// Which service.
        service: String,
    },
}

/// Renders what `service` of `session` is given once it has been attested.
///
/// # Errors
/// [`ProvisionError`] if there is no such service, or the values are not those of this session.
pub fn provision(
    session: &Session,
    service: &str,
    values: &SecretValues,
) -> Result<ServiceConfig, ProvisionError> {
    let found = session
        .service(service)
        .ok_or_else(|| ProvisionError::NoService {
            session: session.name().to_string(),
            service: service.to_owned(),
        })?;
    let renderer = Renderer {
        session,
        values,
        service,
    };
    let mut argv = Vec::with_capacity(found.command.len());
    for word in &found.command {
        argv.push(renderer.text(word, "an argument")?);
    }
    let mut environment = Vec::with_capacity(found.environment.len());
    for variable in &found.environment {
        environment.push(Variable {
            name: variable.name.to_string(),
            value: renderer.text(&variable.value, "an environment variable")?,
        });
    }
    let pwd = renderer.text(&found.pwd, "`pwd`")?;
    if AbsolutePath::parse(&pwd).is_err() {
        return Err(ProvisionError::NotAbsolutePwd {
            service: service.to_owned(),
        });
    }
    let image = found
        .image
        .as_ref()
        .and_then(|name| session.images.iter().find(|image| image.name == *name));
    let (mut files, mut trees, mut mounts) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(image) = image {
        for file in &image.injection_files {
            files.push(InjectedFile {
                path: file.path.to_string(),
                mode: u32::from(file.permission),
                content: core::mem::take(&mut *renderer.bytes(&file.content)?),
            });
        }
        trees = image.trees.iter().map(tree).collect();
        mounts = image.mounts.iter().map(mount).collect();
    }
    Ok(ServiceConfig {
        argv,
        environment,
        pwd,
        files,
        trees,
        mounts,
        host_environment: found
            .host_environment
            .iter()
            .map(ToString::to_string)
            .collect(),
    })
}

fn tree(tree: &ast::Tree) -> Tree {
    Tree {
        path: tree.path.to_string(),
        digest: tree.digest.0,
        manifest: tree.manifest.as_ref().map(ToString::to_string),
    }
}

fn mount(mount: &ast::Mount) -> Mount {
    Mount {
        path: mount.path.to_string(),
        kind: match &mount.kind {
            ast::MountKind::Memory => MountKind::Memory,
            ast::MountKind::Host { source, read_only } => MountKind::Host {
                source: source.to_string(),
                read_only: *read_only,
            },
        },
    }
}

struct Renderer<'a> {
    session: &'a Session,
    values: &'a SecretValues,
    service: &'a str,
}

impl Renderer<'_> {
    fn text(&self, template: &Template, place: &'static str) -> Result<String, ProvisionError> {
        let mut bytes = self.bytes(template)?;
        let not_text = || ProvisionError::NotText {
            service: self.service.to_owned(),
            place,
        };
        if bytes.contains(&0) || core::str::from_utf8(&bytes).is_err() {
            return Err(not_text());
        }
        String::from_utf8(core::mem::take(&mut *bytes)).map_err(|_| not_text())
    }

    fn bytes(&self, template: &Template) -> Result<Zeroizing<Vec<u8>>, ProvisionError> {
        let mut pieces = Vec::with_capacity(template.parts().len());
        for part in template.parts() {
            pieces.push(match part {
                Part::Text(text) => Zeroizing::new(text.as_bytes().to_vec()),
                Part::Reference(reference) => self.secret(reference)?,
            });
        }
        // One allocation of the right size: growing would leave unwiped copies behind.
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for piece in &pieces {
            bytes.extend_from_slice(piece);
        }
        Ok(bytes)
    }

    fn secret(&self, reference: &Reference) -> Result<Zeroizing<Vec<u8>>, ProvisionError> {
        let name = &reference.name;
        let no_value = || ProvisionError::NoValue {
            name: name.to_string(),
        };
        let kind = &self
            .session
            .secret(name.as_str())
            .ok_or_else(no_value)?
            .kind;
        let value = self.values.get(name.as_str()).ok_or_else(no_value)?;
        let format =
            Format::resolve(name, kind, reference.format.as_deref()).map_err(|_| no_value())?;
        let rendered = value
            .render(format)
            .map_err(|source| ProvisionError::Render {
                name: name.to_string(),
                source,
            })?;
        match reference.escape {
            None => Ok(rendered),
            Some(Escape::Json) => match core::str::from_utf8(&rendered) {
                Ok(text) => Ok(escape_json(text)),
                Err(_) => Err(ProvisionError::NotText {
                    service: self.service.to_owned(),
                    place: "a reference with `|escape(json)`",
                }),
            },
        }
    }
}

/// Escapes the inside of a JSON string (RFC 8259, section 7).
fn escape_json(text: &str) -> Zeroizing<Vec<u8>> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // The longest escape has six bytes.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(6)));
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape_json;

    #[test]
    fn json_is_escaped() {
        let escaped = escape_json("a\"b\\c\n\r\t\u{1}\u{1f}ä/");
        assert_eq!(
            escaped.as_slice(),
            r#"a\"b\\c\n\r\t\u0001\u001fä/"#.as_bytes()
        );
    }
}
