//! The runtime: boot, kernel and process platform, assembled.

#![no_std]
#![no_main]

extern crate alloc;

mod container;
mod mounts;

use alloc::{string::String, vec::Vec};
use bannock_boot::{BootFault, Configured, Options};
use bannock_kernel::task::Linux;
use bannock_platform::host::time::monotonic;
use bannock_platform_process::{heap::Heap, raw, report, set_kernel, start, start::Arguments};
use container::Program;

#[global_allocator]
static HEAP: Heap = Heap;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    report::line(format_args!("internal error: {info}"));
    raw::exit(i32::from(bannock_wire::exit::FAILED))
}

/// Installs the kernel in this process.
// SAFETY: the start code calls it by this name and signature, once in each process.
#[unsafe(no_mangle)]
extern "Rust" fn bannock_install() {
    set_kernel(&Linux);
}

/// The container's first process.
// SAFETY: the start code calls it by this name and signature, in the first process.
#[unsafe(no_mangle)]
extern "Rust" fn bannock_main(arguments: Arguments) -> ! {
    let code = run(arguments).unwrap_or_else(|fault| {
        report::line(format_args!("{fault}"));
        fault.exit_code()
    });
    raw::exit(i32::from(code))
}

/// Host strings; what is not UTF-8 cannot be an option or a variable that a session names.
fn text(strings: Vec<&core::ffi::CStr>) -> Vec<String> {
    strings
        .into_iter()
        .filter_map(|s| s.to_str().ok())
        .map(String::from)
        .collect()
}

fn run(arguments: Arguments) -> Result<u8, BootFault> {
    let words = text(arguments.arguments());
    let options = match Options::parse(words.iter().skip(1).map(String::as_str)) {
        Ok(options) => options,
        Err(fault) => {
            // The LAS's audit log learns of it, where there is a LAS.
            Configured::refuse_start(fault.reason());
            return Err(fault);
        }
    };
    #[cfg(feature = "test-keep-channel")]
    report::line(format_args!(
        "TEST BUILD: keeps the channel to the LAS open for its program; protects nothing"
    ));
    let environment = text(arguments.environment_strings());
    let configured = Configured::open(&options)?;
    let container = container::make(arguments);
    if options.audit_host_calls {
        start::audit_host_calls();
    }
    let Some(configured) = configured else {
        let Some(standalone) = &options.standalone else {
            return Err(BootFault::Failed("nothing to run".into()));
        };
        let mounts = mounts::standalone(&container, standalone)?;
        let program = Program {
            arguments: standalone.argv.clone(),
            environment,
            directory: standalone.directory.clone().unwrap_or_else(|| "/".into()),
        };
        return container::supervise(&container, mounts, program, options.stats);
    };
    start::harden();
    let begin = monotonic();
    let provisioned = configured.attest()?.provision()?;
    if options.stats {
        let micros = monotonic().saturating_sub(begin) / 1000;
        report::line(format_args!(
            "attestation and configuration: {}.{:03} ms",
            micros / 1000,
            micros % 1000
        ));
    }
    let mounts = match mounts::attested(&container, provisioned.config(), &options.trees) {
        Ok(mounts) => mounts,
        Err(fault) => {
            provisioned.refuse(fault.reason());
            return Err(fault);
        }
    };
    let config = provisioned.run();
    let program = Program::of(&config, &environment);
    drop(config);
    container::supervise(&container, mounts, program, options.stats)
}
