//! A hostile program under a genuine runtime, in the attacker's own session.
//!
//! On the process platform a program shares its address space with the runtime and can make any
//! host call: this one does, in three ways. What keeps it from evidence is that the channel to the
//! LAS is closed before its first instruction. The same program does get evidence, for a binding of
//! its choice, from a runtime that is built to leave the channel open.

use crate::relay::{Relay, framed, unframed};
use bannock_e2e::developer::{Developer, measurement, runtime_that_keeps_its_channel};
use bannock_e2e::place::{Link, binary, compile};
use bannock_e2e::process::Guarded;
use bannock_wire::PROTOCOL_VERSION;
use bannock_wire::binding::{Channel, Claims};
use bannock_wire::cas;
use bannock_wire::channel::{Evidence, Reply, Request};
use bannock_wire::las::{self, Descriptor, Start};
use bannock_wire::launch::{Isolation, LaunchIdentity};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;

const SECRET: &str = "the victim's secret, 91ab";
/// The ways in which the program makes host calls.
const WAYS: [&str; 3] = ["runtime's text", "vDSO", "own text"];

/// What the attacker has: a machine, and a session of their own beside the victim's.
struct World {
    developer: Arc<Developer>,
    place: tempfile::TempDir,
    program: PathBuf,
    tree: PathBuf,
    /// The attacker's service.
    own: String,
    /// The victim's service.
    victim: String,
}

impl World {
    /// With sessions whose names end with `test`.
    fn new(test: &str) -> Self {
        let developer = Developer::shared();
        let place = tempfile::tempdir().unwrap();
        let program = compile("hostile", Link::Static, place.path());
        let (tree, digest) = developer.measure(&format!("{test}.tree"), &[&program]);
        // Both sessions accept both runtimes, so that nothing but the channel makes the difference.
        for (name, secret) in [("attacker", "the attacker's own"), ("victim", SECRET)] {
            developer.create_session(&format!(
                r#"
name: {name}-{test}
version: "0.3"
services:
  - name: service
    image_name: files
    command: [{program}]
    environment: {{ SECRET: "$$SCONE::given$$" }}
    attestation:
      - mrenclave: [{delivered}, {keeping}]
        simulated: {{ root: {root} }}
secrets:
  - {{ name: given, kind: ascii, value: "{secret}" }}
images:
  - name: files
    trees:
      - {{ path: /, digest: {digest} }}
"#,
                program = program.display(),
                delivered = measurement(&binary("bannock-runtime")),
                keeping = measurement(&runtime_that_keeps_its_channel()),
                root = developer.platform_root,
            ));
        }
        Self {
            developer,
            place,
            program,
            tree,
            own: format!("attacker-{test}/service"),
            victim: format!("victim-{test}/service"),
        }
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.place.path().join("errors")).unwrap()
    }

    fn relay(&self) -> Relay {
        Relay::connect(&self.developer.cas, self.developer.cas_key())
    }

    fn identity(&self, config_id: &str) -> LaunchIdentity {
        LaunchIdentity::Service {
            config_id: config_id.to_owned(),
            cas_key: self.developer.cas_key(),
        }
    }

    /// How many quotes the LAS has given to whom.
    fn quotes(&self, launched: &str) -> usize {
        let audit = self.developer.las_audit();
        let is_it = |record: &&serde_json::Value| {
            let launch = record["launch"].as_str().unwrap_or_default();
            record["event"] == "quote" && launch.contains(launched)
        };
        audit.iter().filter(is_it).count()
    }
}

/// The hostile program, running.
struct Hostile {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Guarded,
}

impl Hostile {
    /// Starts it under `runtime`, until it has looked around; also what it said.
    fn start(world: &World, runtime: &Path) -> (Self, Vec<String>) {
        let errors = fs::File::create(world.place.path().join("errors")).unwrap();
        let mut command = world.developer.service(&world.own, &world.tree);
        command.arg("--runtime").arg(runtime);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Guarded::start(command.stderr(errors));
        let input = process.child().stdin.take().unwrap();
        let output = BufReader::new(process.child().stdout.take().unwrap()).lines();
        let mut hostile = Self {
            input,
            output,
            _process: process,
        };
        let said = hostile.until("ready", world);
        (hostile, said)
    }

    fn until(&mut self, last: &str, world: &World) -> Vec<String> {
        let mut said = Vec::new();
        for line in self.output.by_ref() {
            let line = line.unwrap();
            if line == last {
                return said;
            }
            said.push(line);
        }
        panic!("it ended after {said:?}: {}", world.errors());
    }

    /// Has it do something; what it said.
    fn order(&mut self, world: &World, order: &str) -> Vec<String> {
        writeln!(self.input, "{order}").unwrap();
        self.until("done", world)
    }

    /// Has it ask for evidence for `channel` wherever it can.
    fn ask(&mut self, world: &World, channel: Channel) -> Vec<String> {
        let order = format!("channel {}", hex::encode(evidence_request(channel)));
        self.order(world, &order)
    }
}

fn evidence_request(channel: Channel) -> Vec<u8> {
    framed(&Request::Evidence {
        channel,
        version: "hostile/1".to_owned(),
    })
}

/// The evidence among what it said.
fn evidence(said: &[String]) -> Vec<Evidence> {
    let answers = said.iter().filter_map(|line| line.strip_prefix("answer "));
    answers
        .filter_map(|hex| match unframed("channel reply", hex) {
            Reply::Evidence { evidence } => Some(evidence),
            Reply::SealingKey { .. } | Reply::Refused { .. } | Reply::Noted => None,
        })
        .collect()
}

fn claims(evidence: &Evidence) -> Claims {
    bannock_wire::decode("claims", &evidence.claims).unwrap()
}

/// Without this, to find nothing would prove nothing.
fn check_that_it_makes_host_calls(said: &[String]) {
    for way in WAYS {
        let proof = format!("way {way}: host descriptor 5 has 68719476736 bytes, result 0");
        assert!(said.contains(&proof), "{proof}: {said:?}");
    }
}

#[test]
fn it_gets_no_evidence_whatever_it_calls() {
    let world = World::new("closed");
    let (mut hostile, said) = Hostile::start(&world, &binary("bannock-runtime"));
    check_that_it_makes_host_calls(&said);
    // One quote: the runtime's own, for its connection to the CAS.
    assert_eq!(world.quotes(&world.own), 1);

    let said = hostile.ask(&world, world.relay().channel);
    assert!(evidence(&said).is_empty(), "{said:?}");
    for asked in ["kernel"].iter().chain(&WAYS) {
        for line in [
            format!("{asked}: descriptor 3: EBADF"),
            format!("{asked}: 0 asked, 0 answered"),
        ] {
            assert!(said.contains(&line), "{line}: {said:?}");
        }
    }
    assert_eq!(world.quotes(&world.own), 1);
    assert_eq!(world.quotes(&world.victim), 0);
}

#[test]
fn it_gets_evidence_from_a_runtime_that_keeps_its_channel() {
    let world = World::new("open");
    let (mut hostile, said) = Hostile::start(&world, &runtime_that_keeps_its_channel());
    check_that_it_makes_host_calls(&said);
    let errors = world.errors();
    assert!(errors.contains("TEST BUILD"), "{errors}");

    // Each way reaches the LAS, which answers with a quote for the binding that the program chose.
    let mut relay = world.relay();
    let said = hostile.ask(&world, relay.channel);
    let got = evidence(&said);
    assert_eq!(got.len(), WAYS.len(), "{said:?}");
    assert_eq!(world.quotes(&world.own), 1 + WAYS.len());
    for evidence in &got {
        // Even so it is evidence about the attacker's service, under the identity that the LAS fixed.
        assert_eq!(claims(evidence).launch, world.identity(&world.own));
    }

    // The configuration goes to a connection that no runtime has: what closing the channel prevents.
    match relay.configure(&world.own, got[0].clone()) {
        cas::Reply::Configuration { config } => {
            assert_eq!(config.environment[0].value, "the attacker's own");
        }
        cas::Reply::Denied { reason } => panic!("denied: {reason}"),
        _ => panic!("another answer"),
    }

    // The launch identity still protects the victim.
    let mut relay = world.relay();
    let got = evidence(&hostile.ask(&world, relay.channel));
    refuse(&world, &mut relay, got[0].clone());
    // And evidence is good for one connection.
    let mut relay = world.relay();
    match relay.configure(&world.own, got[0].clone()) {
        cas::Reply::Denied { .. } => {}
        _ => panic!("evidence was accepted on another connection"),
    }
}

#[test]
fn the_las_vouches_only_for_what_it_measured() {
    let world = World::new("las");
    let (mut hostile, said) = Hostile::start(&world, &binary("bannock-runtime"));
    check_that_it_makes_host_calls(&said);

    // As anybody may, it has the LAS start an image of its choice as the victim: itself.
    let mut relay = world.relay();
    let request = hex::encode(evidence_request(relay.channel));
    let start = framed(&las::Request::Start {
        start: Start {
            version: PROTOCOL_VERSION,
            launch: world.identity(&world.victim),
            arguments: vec!["as-instance".to_owned(), request],
            environment: Vec::new(),
            descriptors: vec![
                Descriptor::Image,
                Descriptor::Stdin,
                Descriptor::Stdout,
                Descriptor::Stderr,
            ],
        },
    });
    let order = format!(
        "las {} {} {}",
        world.developer.las().display(),
        hex::encode(start),
        world.program.display()
    );
    let said = hostile.order(&world, &order);
    let got = evidence(&said);
    assert_eq!(got.len(), 1, "{said:?}");
    // It is evidence for the victim's identity, and for the attacker's image.
    let image = runtime_measurement(&world.program);
    assert_eq!(claims(&got[0]).launch, world.identity(&world.victim));
    assert_eq!(claims(&got[0]).isolation, Isolation::FULL);
    assert_eq!(measurement_in(&got[0]), image);
    refuse(&world, &mut relay, got[0].clone());
}

fn runtime_measurement(path: &Path) -> Vec<u8> {
    hex::decode(measurement(path)).unwrap()
}

/// MRENCLAVE of an SGX quote, version 3: a header of 48 bytes, then the report body, with it at
/// offset 64 (Intel SGX ECDSA quote library reference, appendix A.4).
fn measurement_in(evidence: &Evidence) -> Vec<u8> {
    evidence.quote[48 + 64..][..32].to_vec()
}

/// The CAS gives nobody the victim's configuration for `evidence`.
fn refuse(world: &World, relay: &mut Relay, evidence: Evidence) {
    match relay.configure(&world.victim, evidence) {
        cas::Reply::Denied { reason } => assert!(!reason.contains(SECRET), "{reason}"),
        cas::Reply::Configuration { .. } => panic!("the attacker has the victim's configuration"),
        _ => panic!("another answer than a refusal"),
    }
}
