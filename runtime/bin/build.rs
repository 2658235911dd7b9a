//! Links a freestanding static PIE: no C runtime, no libc, no interpreter.

fn main() {
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static-pie",
        // Code and data in segments of their own; no executable stack; nothing to interpret.
        "-Wl,-z,noexecstack,-z,separate-code,-z,norelro,--no-dynamic-linker",
        // The path of the build must not be in what is measured.
        "-Wl,--build-id=none",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
