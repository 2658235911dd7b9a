//! Links a freestanding static PIE: no C runtime, no libc, no interpreter.

fn main() {
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        // Code and data in segments of their own; no executable stack; nothing to interpret.
        "-Wl,-z,noexecstack,-z,separate-code,-z,norelro,--no-dynamic-linker",
        // Code begins a huge page, and has them for itself: data follows far behind, also where code
        // is large because it is not optimised.
        "-Wl,--section-start=.text=0x200000,--section-start=.data.rel.ro=0x4000000",
        // What is measured must not depend on where it was built, nor on what the machine's `cc` adds
        // by default.
        "-Wl,--build-id=none,--hash-style=gnu",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
