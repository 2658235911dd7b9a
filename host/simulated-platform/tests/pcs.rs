//! The provisioning certification service and its client, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bannock_evidence::{Evidence, TrustAnchors, verify};
use bannock_simulated_platform::{
    FMSPC, Options, Platform, ReportRequest, TcbState,
    pcs::{
        CollateralSource, FetchFault, ServeFault, Server, Stopper, fetch_collateral, parse_response,
    },
};
use tempfile::TempDir;

const NOW: u64 = 1_795_478_400;
const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

struct Running {
    platform: Platform,
    url: String,
    address: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("platform");
        let platform = Platform::create(&folder, &Options::issued_at(NOW)).unwrap();
        let server = Server::bind(LOOPBACK, &folder).unwrap();
        let (url, address, stopper) = (server.url(), server.address(), server.stopper());
        let thread = Some(thread::spawn(move || server.run()));
        Self {
            platform,
            url,
            address,
            stopper,
            thread,
            _dir: dir,
        }
    }

    fn stop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Status of the answer to raw bytes.
    fn status(&self, request: &[u8]) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        parse_response(&answer).unwrap().status
    }

    fn get(&self, target: &str) -> u16 {
        self.status(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn fetched_collateral_is_the_platforms_and_verifies() {
    let running = Running::start();
    let collateral = fetch_collateral(&running.url, FMSPC).unwrap();
    assert_eq!(collateral, running.platform.collateral());
    let quote = running.platform.quote(&ReportRequest {
        measurement: [1; 32],
        signer: [0; 32],
        isv_prod_id: 0,
        isv_svn: 0,
        config_id: [0; 64],
        config_svn: 0,
        report_data: [0; 64],
        debug: false,
    });
    let anchors = TrustAnchors::vendors().with_simulated_root(running.platform.root_sha256());
    verify(&Evidence { quote, collateral }, &anchors, NOW).unwrap();
}

#[test]
fn changed_options_are_served_at_once() {
    let mut running = Running::start();
    let before = fetch_collateral(&running.url, FMSPC).unwrap();
    let mut options = running.platform.options().clone();
    options.tcb = TcbState::OutOfDate;
    running.platform.set(&options).unwrap();
    let after = fetch_collateral(&running.url, FMSPC).unwrap();
    assert_ne!(before, after);
    assert_eq!(after, running.platform.collateral());
}

#[test]
fn urls_with_and_without_the_path_work() {
    let running = Running::start();
    for url in [
        format!("http://{}", running.address),
        format!("http://{}/", running.address),
        format!("{}/", running.url),
    ] {
        fetch_collateral(&url, FMSPC).unwrap();
    }
}

#[test]
fn unsupported_urls_are_refused_without_a_connection() {
    for url in [
        "",
        "https://127.0.0.1:1",
        "http://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:1/other",
        "http://a\r\nX: y:1",
        "http://u@127.0.0.1:1",
    ] {
        assert!(
            matches!(fetch_collateral(url, FMSPC), Err(FetchFault::Url { .. })),
            "{url}"
        );
    }
}

#[test]
fn requests_are_routed_and_bad_ones_refused() {
    let running = Running::start();
    let api = "/sgx/certification/v4";
    let cases = [
        (format!("{api}/pckcert?qeid=00"), 200),
        (format!("{api}/pckcrl?ca=processor&encoding=der"), 200),
        (format!("{api}/tcb?fmspc=53494d000000"), 200),
        (format!("{api}/qe/identity?update=standard"), 200),
        (format!("{api}/rootcacrl"), 200),
        (format!("{api}/pckcrl?ca=processor"), 400),
        (format!("{api}/pckcrl?ca=platform&encoding=der"), 404),
        (format!("{api}/pckcrl"), 400),
        (format!("{api}/tcb?fmspc=00A067110000"), 404),
        (format!("{api}/tcb?fmspc=zz"), 400),
        (format!("{api}/tcb"), 400),
        (format!("{api}/../../root.key"), 404),
        ("/platform.json".to_owned(), 404),
        ("/".to_owned(), 404),
    ];
    for (target, status) in cases {
        assert_eq!(running.get(&target), status, "{target}");
    }
    assert_eq!(running.status(b"POST / HTTP/1.1\r\n\r\n"), 405);
    assert_eq!(running.status(b"\x16\x03\x01"), 400);
    assert_eq!(running.status(b"GET / HTTP/1.1\r\n"), 400);
    let long = format!("GET /{}", "a".repeat(8 * 1024));
    assert_eq!(running.status(&long.as_bytes()[..8 * 1024]), 431);
}

#[test]
fn only_loopback_addresses_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("platform");
    Platform::create(&folder, &Options::issued_at(NOW)).unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        assert!(matches!(
            Server::bind(address.parse().unwrap(), &folder),
            Err(ServeFault::NotLoopback { .. })
        ));
    }
    let taken = TcpListener::bind(LOOPBACK).unwrap();
    let address = taken.local_addr().unwrap();
    let fault = Server::bind(address, &folder)
        .err()
        .expect("the port is taken");
    assert!(fault.to_string().contains(&address.to_string()), "{fault}");
}

#[test]
fn there_is_no_service_without_a_platform() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("platform");
    assert!(matches!(
        Server::bind(LOOPBACK, &missing),
        Err(ServeFault::Platform(_))
    ));
}

#[test]
fn a_service_that_is_down_is_named_and_cached_collateral_bridges_it() {
    let mut running = Running::start();
    let mut source = CollateralSource::new(running.url.clone(), FMSPC, Duration::from_secs(60));
    let start = Instant::now();
    let fetched = source.get(start).unwrap().clone();
    running.stop();

    let fault = fetch_collateral(&running.url, FMSPC).unwrap_err();
    assert!(matches!(fault, FetchFault::Connect { .. }), "{fault:?}");
    assert!(
        fault.to_string().contains(&running.address.to_string()),
        "{fault}"
    );
    let mut empty = CollateralSource::new(running.url.clone(), FMSPC, Duration::ZERO);
    assert!(matches!(empty.get(start), Err(FetchFault::Connect { .. })));

    assert_eq!(
        source.get(start + Duration::from_secs(3600)).unwrap(),
        &fetched
    );
}

#[test]
fn cached_collateral_is_renewed_when_it_is_old() {
    let mut running = Running::start();
    let mut source = CollateralSource::new(running.url.clone(), FMSPC, Duration::from_secs(60));
    let start = Instant::now();
    let first = source.get(start).unwrap().clone();
    let mut options = running.platform.options().clone();
    options.pck_revoked = true;
    running.platform.set(&options).unwrap();
    assert_eq!(source.get(start + Duration::from_secs(60)).unwrap(), &first);
    let renewed = source.get(start + Duration::from_secs(61)).unwrap();
    assert_eq!(renewed, &running.platform.collateral());
    assert_ne!(renewed, &first);
}

#[test]
fn a_refusal_is_passed_on_with_its_reason() {
    let running = Running::start();
    let fault = fetch_collateral(&running.url, [0; 6]).unwrap_err();
    let FetchFault::Refused { status, text, .. } = &fault else {
        panic!("an unknown FMSPC led to {fault:?}");
    };
    assert_eq!((*status, text.as_str()), (404, "unknown fmspc"));
}

/// A PCS that answers anything with fixed bytes.
fn fetch_from(answer: &'static [u8]) -> FetchFault {
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        // The client may hang up early on an answer that is too long.
        let _ = stream.write_all(answer);
    });
    let fault = fetch_collateral(&url, FMSPC).unwrap_err();
    thread.join().unwrap();
    fault
}

#[test]
fn a_hostile_service_gets_an_error_and_no_more() {
    static ENDLESS: [u8; 1024 * 1024] = [b'a'; 1024 * 1024];
    assert!(matches!(fetch_from(b""), FetchFault::Http { .. }));
    assert!(matches!(
        fetch_from(b"SSH-2.0-x\r\n"),
        FetchFault::Http { .. }
    ));
    assert!(matches!(
        fetch_from(&ENDLESS),
        FetchFault::Http { .. } | FetchFault::Transfer { .. }
    ));
    assert!(matches!(
        fetch_from(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"),
        FetchFault::Http { .. }
    ));
    let fault = fetch_from(b"HTTP/1.1 500 x\r\nContent-Length: 8\r\n\r\n\x1b[31mred");
    assert!(matches!(&fault, FetchFault::Refused { status: 500, .. }));
    assert!(
        !fault.to_string().contains('\x1b'),
        "terminal control passed on"
    );
}
