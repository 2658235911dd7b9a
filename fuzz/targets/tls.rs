//! What a server sends to the runtime's TLS client.
#![no_main]

use bannock_fuzz::tls::client;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut client = client().expect("a client needs no server to start");
    let mut plaintext = vec![0; 64 << 10];
    let mut rest = bytes;
    while !rest.is_empty() {
        let ready = client.to_send().len();
        client.sent(ready);
        let Ok(taken) = client.receive(rest) else {
            assert!(client.fault().is_some());
            assert!(client.receive(rest).is_err(), "a fault was forgotten");
            return;
        };
        rest = &rest[taken..];
        let read = client.read(&mut plaintext);
        assert!(taken > 0 || read > 0, "bytes that nobody takes");
        // Application data is for after the handshake, and after the server has shown a key.
        if read > 0 || client.readable() > 0 {
            assert!(!client.is_handshaking() && client.server_spki_sha256().is_some());
        }
    }
    let closed = client.peer_closed();
    assert_eq!(client.receive_end().is_ok(), closed);
});
