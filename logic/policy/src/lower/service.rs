//! Services and their attestation variants.

use super::{Cursor, Fields, HostValues, Report, sorted};
use crate::ast::{IsolationRule, Service, Signer, Variable, Variant};
use crate::problem::Problem;
use crate::syntax::Value;
use crate::table;
use crate::template::Template;
use crate::values::{AbsolutePath, Digest, EnvironmentName, Name};
use crate::words;

pub(super) fn lower(report: &mut Report, at: Cursor<'_>) -> Option<Service> {
    let fields = Fields::open(report, at, table::SERVICE)?;
    let name = fields
        .require(report, "name", "write `name: NAME`")
        .and_then(|at| at.parse(report, Name::parse))
        .unwrap_or_else(Name::absent);
    let command = fields
        .require(
            report,
            "command",
            "write `command: PROGRAM ARGUMENTS` or a list of arguments",
        )
        .map(|at| command(report, &at))
        .unwrap_or_default();
    let environment = fields.get("environment").map(|at| environment(report, &at));
    let host_environment = fields.get("host_environment").map(|at| {
        let items = at.one_or_more(report);
        sorted(
            items
                .iter()
                .filter_map(|at| at.parse(report, EnvironmentName::parse)),
        )
    });
    let pwd = match fields.get("pwd") {
        Some(at) => pwd(report, &at),
        None => Template::parse("/").unwrap_or_else(|_| Template::empty()),
    };
    let image = fields
        .get("image_name")
        .and_then(|at| at.parse(report, Name::parse));
    Some(Service {
        name,
        command,
        environment: environment.unwrap_or_default(),
        host_environment: host_environment.unwrap_or_default(),
        pwd,
        image,
        attestation: attestation(report, &fields),
    })
}

fn command(report: &mut Report, at: &Cursor<'_>) -> Vec<Template> {
    let before = report.found.len();
    let words: Vec<Template> = match &at.node.value {
        Value::List(_) => {
            let items = at.items(report);
            items
                .iter()
                .map(|at| at.template(report, HostValues::Refused))
                .collect()
        }
        _ => at
            .parse(report, |text| {
                words::split(text)
                    .map_err(|reason| Problem::NotWords { reason })?
                    .iter()
                    .map(|word| super::template(word, HostValues::Refused))
                    .collect()
            })
            .unwrap_or_default(),
    };
    let empty = words
        .first()
        .is_none_or(|program| program.source().is_empty());
    if empty && report.found.len() == before {
        at.wrong(report, Problem::EmptyCommand);
    }
    words
}

fn environment(report: &mut Report, at: &Cursor<'_>) -> Vec<Variable> {
    let mut variables = Vec::new();
    for (entry, at) in at.entries(report) {
        let value = at.template(report, HostValues::Refused);
        match EnvironmentName::parse(&entry.key) {
            Ok(name) => variables.push(Variable { name, value }),
            Err(problem) => report.add(entry.key_position, &at.path, problem),
        }
    }
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    variables
}

fn pwd(report: &mut Report, at: &Cursor<'_>) -> Template {
    at.parse(report, |text| {
        let template = super::template(text, HostValues::Refused)?;
        // With references the path is known, and checked, only when it is rendered.
        if template.references().next().is_none() {
            AbsolutePath::parse(text)?;
        }
        Ok(template)
    })
    .unwrap_or_else(Template::empty)
}

fn attestation(report: &mut Report, fields: &Fields<'_>) -> Vec<Variant> {
    let legacy = fields.get("mrenclaves").map(|at| Variant {
        measurements: measurements(report, &at),
        signer: None,
        simulated: None,
        isolation: IsolationRule::Full,
    });
    match (fields.get("attestation"), legacy) {
        (None, legacy) => legacy.into_iter().collect(),
        (Some(at), legacy) => {
            if legacy.is_some() {
                let position = fields.key_position("mrenclaves");
                report.add(
                    position,
                    &fields.cursor.path.key("mrenclaves"),
                    Problem::AttestationTwice,
                );
            }
            let variants = at.one_or_more(report);
            if variants.is_empty() && matches!(at.node.value, Value::List(_)) {
                at.wrong(
                    report,
                    Problem::EmptyList {
                        help: "add a variant with `mrenclave` or `signer`",
                    },
                );
            }
            let mut lowered: Vec<_> = variants
                .into_iter()
                .filter_map(|at| variant(report, at))
                .collect();
            if lowered.is_empty() {
                // Reported above; without this, missing attestation would be reported as well.
                lowered.push(Variant {
                    measurements: Vec::new(),
                    signer: None,
                    simulated: None,
                    isolation: IsolationRule::Full,
                });
            }
            lowered
        }
    }
}

fn variant(report: &mut Report, at: Cursor<'_>) -> Option<Variant> {
    let before = report.found.len();
    let fields = Fields::open(report, at, table::VARIANT)?;
    let measurements = fields.get("mrenclave").map(|at| measurements(report, &at));
    let signer = fields.get("signer").and_then(|at| signer(report, at));
    let simulated = fields.get("simulated").and_then(|at| {
        let fields = Fields::open(report, at, table::SIMULATED)?;
        let help = "write `root:` and the SHA-256 of the platform's root certificate (DER), 64 hexadecimal digits";
        fields.require(report, "root", help)?.parse(report, Digest::parse)
    });
    let isolation = fields
        .get("isolation")
        .and_then(|at| at.choice(report, "isolation", &["full", "none"], &[]))
        .map_or(IsolationRule::Full, |text| match text {
            "none" => IsolationRule::None,
            _ => IsolationRule::Full,
        });
    let variant = Variant {
        measurements: measurements.unwrap_or_default(),
        signer,
        simulated,
        isolation,
    };
    if variant.measurements.is_empty() && variant.signer.is_none() && report.found.len() == before {
        fields.cursor.wrong(report, Problem::VariantAcceptsAll);
    }
    Some(variant)
}

/// Reads measurements; sorted, since their order has no meaning.
fn measurements(report: &mut Report, at: &Cursor<'_>) -> Vec<Digest> {
    let items = at.one_or_more(report);
    if items.is_empty() {
        at.wrong(
            report,
            Problem::EmptyList {
                help: "name at least one measurement",
            },
        );
    }
    sorted(
        items
            .iter()
            .filter_map(|at| at.parse(report, Digest::parse)),
    )
}

fn signer(report: &mut Report, at: Cursor<'_>) -> Option<Signer> {
    let fields = Fields::open(report, at, table::SIGNER)?;
    let mrsigner = fields
        .require(
            report,
            "mrsigner",
            "write `mrsigner:` and 64 hexadecimal digits",
        )
        .and_then(|at| at.parse(report, Digest::parse));
    let isv_prod_id = fields
        .require(report, "isvprodid", "write `isvprodid:` and a number")
        .and_then(|at| number16(report, &at));
    let mut svn = |key| fields.get(key).and_then(|at| number16(report, &at));
    let (exact, min, max) = (svn("isvsvn"), svn("isvsvn_min"), svn("isvsvn_max"));
    if exact.is_some() && (min.is_some() || max.is_some()) {
        fields.cursor.wrong(report, Problem::SvnTwice);
    }
    Some(Signer {
        mrsigner: mrsigner?,
        isv_prod_id: isv_prod_id?,
        isv_svn_min: exact.or(min).unwrap_or(0),
        isv_svn_max: exact.or(max).unwrap_or(u16::MAX),
    })
}

fn number16(report: &mut Report, at: &Cursor<'_>) -> Option<u16> {
    at.number(report, 0, u64::from(u16::MAX))
        .and_then(|number| u16::try_from(number).ok())
}
