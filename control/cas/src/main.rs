//! The configuration and attestation service: command line, signals and wiring.

#![forbid(unsafe_code)]

use bannock_cas::{
    cas::{CannotStart, Cas},
    log,
    options::{self, Command, Options},
    platform::{Platform, PlatformFault},
    server::{CannotListen, Server},
};
use bannock_cas_store::{Embedded, SealedStore, StoreFault};
use bannock_wire::exit;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{env, io, io::Write as _, process::ExitCode, sync::Arc, thread};

/// Why the CAS ends.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the platform does not vouch for this CAS")]
    Platform(#[from] PlatformFault),
    #[error("cannot open the store")]
    Store(#[from] StoreFault),
    #[error("cannot start")]
    Start(#[from] CannotStart),
    #[error("cannot serve")]
    Listen(#[from] CannotListen),
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    #[error("the listening socket is gone")]
    Socket(#[source] io::Error),
}

fn main() -> ExitCode {
    let options = match options::parse(env::args_os().skip(1)) {
        Ok(Command::Serve(options)) => options,
        Ok(Command::Version) => return print(concat!("bannock-cas ", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Help) => return print(options::USAGE),
        Err(error) => {
            log::note(error);
            log::note(options::USAGE);
            return ExitCode::from(exit::USAGE);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            log::note(log::chain(&fault));
            ExitCode::from(exit::FAILED)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(options: &Options) -> Result<(), Fault> {
    // Registered first: as process 1 of its PID namespace the CAS gets no signal it has no handler for.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Fault::Signals)?;
    let platform = if options.insecure_no_platform {
        log::note(
            "INSECURE: running without a platform (--insecure-no-platform): this CAS can prove nothing, and its sealing key is in a file",
        );
        Platform::Insecure
    } else {
        Platform::from_las()?
    };
    if options.insecure_allow_unattested {
        log::note(
            "INSECURE: sessions with attestation mode `none` are served to anyone who asks (--insecure-allow-unattested)",
        );
    }
    let sealing_key = platform.sealing_key(&options.store)?;
    let store = SealedStore::open(Embedded::open(&options.store)?, &sealing_key)?;
    let cas = Arc::new(Cas::start(
        Box::new(store),
        platform,
        &options.audit,
        options.insecure_allow_unattested,
    )?);
    let server = Server::bind(Arc::clone(&cas), options.listen)?;
    let address = server.address().map_err(Fault::Socket)?;
    log::note(format_args!("key {}", cas.identity().key_hash()));
    log::note(format_args!("listening on {address}"));
    thread::spawn(move || server.run());

    if let Some(signal) = signals.forever().next() {
        log::note(format_args!("ending on signal {signal}"));
    }
    // Whatever was decided is committed and logged; nothing else is decided any more.
    let _quiet = cas.quiesce();
    Ok(())
}
