//! Every message that crosses a trust boundary, and the frames around them.
#![no_main]

use bannock_wire::{
    binding::{Channel, Claims},
    cas, channel,
    config::ServiceConfig,
    decode, encode, frame, las,
    launch::LaunchIdentity,
    minicbor::{Decode, Encode},
};
use libfuzzer_sys::fuzz_target;

fn try_as<T>(bytes: &[u8])
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    if let Ok(message) = decode::<T>("fuzzed", bytes) {
        assert!(
            encode(&message) == bytes,
            "two byte strings for one message"
        );
    }
}

fuzz_target!(|bytes: &[u8]| {
    try_as::<LaunchIdentity>(bytes);
    try_as::<Claims>(bytes);
    try_as::<Channel>(bytes);
    try_as::<ServiceConfig>(bytes);
    try_as::<channel::Hello>(bytes);
    try_as::<channel::Request>(bytes);
    try_as::<channel::Reply>(bytes);
    try_as::<cas::Request>(bytes);
    try_as::<cas::Reply>(bytes);
    try_as::<las::Request>(bytes);
    try_as::<las::Control>(bytes);
    try_as::<las::Reply>(bytes);
    if let Some(prefix) = bytes.first_chunk::<{ frame::PREFIX }>() {
        let limit = bytes.len();
        assert!(
            frame::length(*prefix, limit).is_ok_and(|length| length <= limit)
                || frame::length(*prefix, limit).is_err()
        );
    }
});
