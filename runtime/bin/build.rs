//! Links a freestanding static PIE: no C runtime, no libc, no interpreter.

fn main() {
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        // Code and data in segments of their own; no executable stack; nothing to interpret.
        "-Wl,-z,noexecstack,-z,separate-code,-z,norelro,--no-dynamic-linker",
        // Code for itself in the second and third 2 MiB, so that huge pages can hold it.
        "-Wl,--section-start=.text=0x200000,--section-start=.data.rel.ro=0x600000",
        // What is measured must not depend on where it was built, nor on what the machine's `cc` adds
        // by default.
        "-Wl,--build-id=none,--hash-style=gnu",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
