//! What the host adds to the runtime's command line, one argument a line.
#![no_main]

use bannock_boot::Options;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(options) = Options::parse(text.lines()) {
        // Nothing else of what the host says may reach a service.
        if let Some(standalone) = options.standalone {
            assert!(text.lines().any(|line| line == "--standalone"));
            assert!(standalone.argv.len() < text.lines().count());
        }
    }
});
