//! The OpenAPI 3.1 description of the REST API, made from the types that travel.

use crate::{ApiError, AuditPage, Checked, Created, SessionView, Status, Updated, paths};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();

    let session = format!("{}{{name}}", paths::SESSIONS);
    let name = json!({
        "name": "name", "in": "path", "required": true,
        "description": "Name of the session; its `/` are written as they are.",
        "schema": { "type": "string" }
    });
    let mut out = Map::new();
    out.insert(
        session,
        json!({
            "parameters": [name],
            "get": operation::<SessionView>(&mut schemas, "Read a session.", None, 200),
            "post": operation::<Created>(&mut schemas, "Create a session; the requester becomes its creator.", session_body(), 201),
            "put": operation::<Updated>(&mut schemas, "Replace a session by a successor that names its hash as `predecessor`.", session_body(), 200),
        }),
    );
    out.insert(
        paths::CHECK.into(),
        json!({ "post": operation::<Checked>(&mut schemas, "Check a session without storing it; needs no client certificate.", session_body(), 200) }),
    );
    out.insert(
        paths::STATUS.into(),
        json!({ "get": operation::<Status>(&mut schemas, "Say what this CAS is; needs no client certificate.", None, 200) }),
    );
    out.insert(
        paths::AUDIT.into(),
        json!({ "get": operation::<AuditPage>(&mut schemas, "Read the newest audit records of the requester's own sessions.", None, 200) }),
    );

    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bannock CAS",
            "version": "1",
            "description": "TLS 1.3 only. The requester is whoever holds the key of the client \
                certificate; any certificate will do, its key is the identity. The connection \
                closes after one answer.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "paths": out,
        "components": { "schemas": schemas.take_definitions(true) }
    })
}

fn session_body() -> Option<Value> {
    Some(json!({
        "required": true,
        "content": { crate::SESSION_MEDIA_TYPE: { "schema": { "type": "string" } } }
    }))
}

fn operation<T: JsonSchema>(
    schemas: &mut SchemaGenerator,
    summary: &str,
    body: Option<Value>,
    success: u16,
) -> Value {
    let answer = |schema| json!({ "application/json": { "schema": schema } });
    let mut operation = json!({
        "summary": summary,
        "responses": {
            success.to_string(): {
                "description": "Done.",
                "content": answer(schemas.subschema_for::<T>())
            },
            "default": {
                "description": "Not done; `code` says why.",
                "content": answer(schemas.subschema_for::<ApiError>())
            }
        }
    });
    if let (Some(body), Some(operation)) = (body, operation.as_object_mut()) {
        operation.insert("requestBody".into(), body);
    }
    operation
}
