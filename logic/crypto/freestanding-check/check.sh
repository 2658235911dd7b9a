#!/bin/sh
# Builds the freestanding check as the runtime is built, and fails unless it uses no register wider than xmm and runs.
# Usage: check.sh [additional RUSTFLAGS]
set -eu
cd "$(dirname "$0")"

flags='--cfg sha2_backend="soft" --cfg chacha20_force_sse2 --cfg poly1305_force_soft
--cfg curve25519_dalek_backend="serial"
-C relocation-model=pie -C target-feature=+crt-static
-C link-arg=-nostartfiles -C link-arg=-nostdlib -C link-arg=-static-pie
-C link-arg=-Wl,-z,noexecstack,-z,separate-code,--no-dynamic-linker'
target=x86_64-unknown-linux-gnu
RUSTFLAGS="$(printf '%s ' $flags "$@")" cargo build --release --target "$target"
binary="${CARGO_TARGET_DIR:-target}/$target/release/freestanding-check"

count() {
    objdump -d --no-show-raw-insn "$binary" | grep -cE "$1" || true
}

wide=$(count '%[yz]mm')
echo "instructions with ymm or zmm: $wide"
echo "xmm $(count '%xmm'), cpuid $(count '\bcpuid\b'), xgetbv $(count '\bxgetbv\b')," \
    "aesenc $(count '\baesenc'), pclmul $(count '\bpclmul'), sha256 $(count '\bsha256')"
[ "$wide" -eq 0 ]
"$binary"
echo "runs without std, libc and start files"
