//! A platform's folder: what is kept, what is refused, what survives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bannock_simulated_platform::{Options, Platform, PlatformFault, ReportRequest, TcbState};

const NOW: u64 = 1_795_478_400;

fn create(dir: &Path) -> Platform {
    Platform::create(dir, &Options::issued_at(NOW)).unwrap()
}

fn quote(platform: &Platform) -> Vec<u8> {
    platform.quote(&ReportRequest {
        measurement: [1; 32],
        signer: [0; 32],
        isv_prod_id: 0,
        isv_svn: 0,
        config_id: [2; 64],
        config_svn: 0,
        report_data: [3; 64],
        debug: false,
    })
}

#[test]
fn a_platform_survives_being_closed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    let made = create(&dir);
    let opened = Platform::open(&dir).unwrap();
    assert_eq!(made.root_sha256(), opened.root_sha256());
    assert_eq!(made.collateral(), opened.collateral());
    assert_eq!(quote(&made), quote(&opened));
    assert_eq!(
        *made.sealing_key(&[1; 32], b"x").unwrap(),
        *opened.sealing_key(&[1; 32], b"x").unwrap()
    );
}

#[test]
fn everything_is_private_to_its_owner() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    create(&dir);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert!(files >= 7, "keys, seed and state");
}

#[test]
fn what_others_can_reach_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    create(&dir);
    let open_up = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (path, loose, tight) in [
        (dir.clone(), 0o750, 0o700),
        (dir.join("sealing.seed"), 0o604, 0o600),
    ] {
        open_up(&path, loose);
        let fault = Platform::open(&dir).unwrap_err();
        assert!(matches!(fault, PlatformFault::Permissions { mode, .. } if mode == loose));
        open_up(&path, tight);
        Platform::open(&dir).unwrap();
    }
}

#[test]
fn an_existing_platform_is_replaced_only_when_asked() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    let first = create(&dir);
    let options = Options::issued_at(NOW);
    assert!(matches!(
        Platform::create(&dir, &options),
        Err(PlatformFault::Exists { .. })
    ));
    assert_eq!(
        Platform::open(&dir).unwrap().root_sha256(),
        first.root_sha256()
    );

    let second = Platform::create_anew(&dir, &options).unwrap();
    assert_ne!(second.root_sha256(), first.root_sha256());
    assert_ne!(
        *second.sealing_key(&[1; 32], b"x").unwrap(),
        *first.sealing_key(&[1; 32], b"x").unwrap()
    );
    // The first one is still open somewhere and must not write over the second.
    let mut first = first;
    assert!(first.set(&options).is_err());
    assert!(first.refresh().is_err());
    assert_eq!(
        Platform::open(&dir).unwrap().root_sha256(),
        second.root_sha256()
    );
}

#[test]
fn a_creation_that_did_not_finish_leaves_no_platform() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    create(&dir);
    fs::remove_file(dir.join("platform.json")).unwrap();
    assert!(matches!(
        Platform::open(&dir),
        Err(PlatformFault::Missing { .. })
    ));
    create(&dir);
    Platform::open(&dir).unwrap();
}

#[test]
fn impossible_options_change_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    let mut platform = create(&dir);
    let good = platform.options().clone();
    let cases: [fn(&mut Options); 4] = [
        |options| options.next_update = options.issued,
        |options| options.advisories = vec!["\"".to_owned()],
        |options| options.advisories = vec![String::new()],
        |options| {
            options.issued = u64::MAX - 1;
            options.next_update = u64::MAX;
        },
    ];
    for change in cases {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(platform.set(&bad).is_err(), "{bad:?}");
        assert!(Platform::create_anew(&parent.path().join("new"), &bad).is_err());
        assert_eq!(platform.options(), &good);
        assert_eq!(Platform::open(&dir).unwrap().options(), &good);
    }
}

#[test]
fn changes_reach_other_instances_when_they_refresh() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    let mut one = create(&dir);
    let mut other = Platform::open(&dir).unwrap();
    let mut options = one.options().clone();
    options.tcb = TcbState::OutOfDate;
    one.set(&options).unwrap();
    assert_ne!(one.collateral(), other.collateral());
    other.refresh().unwrap();
    assert_eq!(one.collateral(), other.collateral());
    assert_eq!(other.options().tcb, TcbState::OutOfDate);
}

#[test]
fn damage_is_reported_with_the_file() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    create(&dir);
    for name in [
        "platform.json",
        "pck.key",
        "attestation.key",
        "sealing.seed",
    ] {
        let path = dir.join(name);
        let good = fs::read(&path).unwrap();
        let long = vec![0; 2 * 1024 * 1024];
        for bad in [&[][..], &[0xff; 31], &long] {
            fs::write(&path, bad).unwrap();
            let fault = Platform::open(&dir).unwrap_err();
            assert!(fault.to_string().contains(name), "{name}: {fault}");
        }
        fs::write(&path, &good).unwrap();
    }
    Platform::open(&dir).unwrap();
}

#[test]
fn a_newer_format_is_refused_whatever_else_it_holds() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    create(&dir);
    fs::write(
        dir.join("platform.json"),
        br#"{"format": 2, "future": true}"#,
    )
    .unwrap();
    assert!(matches!(
        Platform::open(&dir),
        Err(PlatformFault::NewerFormat {
            found: 2,
            supported: 1,
            ..
        })
    ));
}

#[test]
fn sealing_keys_differ_by_measurement_and_label() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    let platform = create(&dir);
    let key =
        |measurement: [u8; 32], label: &[u8]| *platform.sealing_key(&measurement, label).unwrap();
    let base = key([1; 32], b"store");
    assert_ne!(base, key([2; 32], b"store"));
    assert_ne!(base, key([1; 32], b"store2"));
    assert_ne!(base, key([1; 32], b""));
    assert_ne!(base, [0; 32]);
}

#[test]
fn nothing_secret_is_printed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("platform");
    let platform = create(&dir);
    let seed = fs::read(dir.join("sealing.seed")).unwrap();
    let printed = format!("{platform:?}");
    assert!(printed.contains(&hex::encode(platform.root_sha256())));
    assert!(!printed.contains(&hex::encode(&seed)));
    assert!(!printed.contains(&format!("{seed:?}")));
}
