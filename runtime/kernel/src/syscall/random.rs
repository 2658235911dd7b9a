//! Random bytes.

use super::{Argument::*, Call, Outcome, Row};
use bannock_platform::{Errno, PAGE, host, user::UserSlice};
use linux_raw_sys::general as raw;

pub(super) const ROWS: &[Row] = &[Row::emulated(
    raw::__NR_getrandom,
    "getrandom",
    &[Pointer, Size, Flags],
    getrandom,
)
.with_notes("both pools are one, and always ready")];

const NONBLOCK: u32 = 1;
const RANDOM: u32 = 2;
const INSECURE: u32 = 4;
/// Most bytes of one call (Linux: `INT_MAX` rounded down to pages).
const MOST: usize = 0x7fff_f000;

fn getrandom(call: &Call<'_>) -> Outcome {
    let flags = call.uint(2);
    if flags & !(NONBLOCK | RANDOM | INSECURE) != 0
        || flags & (RANDOM | INSECURE) == RANDOM | INSECURE
    {
        return Err(Errno::EINVAL);
    }
    let mut into = UserSlice::new(call.word(0), call.word(1).min(MOST))?;
    let mut done = 0;
    let mut bytes = [0; 256];
    while !into.is_empty() {
        // Up to the end of a page: what lies before one that is not there is filled.
        let part = into.take(bytes.len().min(PAGE - into.start() % PAGE));
        let chunk = bytes.get_mut(..part.len()).ok_or(Errno::EIO)?;
        host::random(chunk)?;
        if let Err(error) = part.write(chunk) {
            return if done > 0 { Ok(done) } else { Err(error) };
        }
        done += part.len();
        into = into.skip(part.len());
    }
    Ok(done)
}
