//! The runtime: boot, kernel and process platform, assembled.

#![no_std]
#![no_main]

extern crate alloc;

use bannock_platform_process::{heap::Heap, raw, report, start::Arguments};

#[global_allocator]
static HEAP: Heap = Heap;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    report::line(format_args!("internal error: {info}"));
    raw::exit(i32::from(bannock_wire::exit::FAILED))
}

/// Installs the kernel in this process.
#[unsafe(no_mangle)]
extern "Rust" fn bannock_install() {}

/// The container's first process.
#[unsafe(no_mangle)]
extern "Rust" fn bannock_main(arguments: Arguments) -> ! {
    for a in arguments.arguments() {
        report::line(format_args!("argument {a:?}"));
    }
    raw::exit(7)
}
