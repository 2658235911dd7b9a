//! Audit logs as their files hold them: the CAS's, line by line, and the LAS's.
#![no_main]

use bannock_cas_core::audit::{check, position_before};
use bannock_las::audit::check_chain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_chain(bytes, None);
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.lines().peekable();
    let Some(Ok(mut position)) = lines.peek().map(|line| position_before(line)) else {
        return;
    };
    for line in lines {
        let Ok((record, next)) = check(&position, line, None) else {
            return;
        };
        assert_eq!(record.sequence, position.length);
        assert!(position_before(line).is_ok_and(|before| before == position));
        position = next;
    }
});
