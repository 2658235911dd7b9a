//! First lines of scripts.
#![no_main]

use bannock_kernel::task::Script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(script)) = Script::parse(bytes) {
        assert!(bytes.starts_with(b"#!"));
        assert!(!script.interpreter.is_empty());
        let argument = script.argument.as_deref().unwrap_or_default();
        for word in [&script.interpreter[..], argument] {
            assert!(!word.contains(&0) && !word.contains(&b'\n'));
        }
        assert!(!script.interpreter.iter().any(|b| matches!(b, b' ' | b'\t')));
    }
});
