//! Limits on how often something may happen, per user.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Users that are remembered before full buckets are forgotten.
const REMEMBERED: usize = 1024;

/// A token bucket: holds up to `capacity` tokens, gains `per_minute` in a minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    capacity: u32,
    per_minute: u32,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn full(capacity: u32, per_minute: u32, now: Instant) -> Self {
        Self {
            capacity,
            per_minute,
            tokens: f64::from(capacity),
            at: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() / 60.0;
        let tokens = self.tokens + gained * f64::from(self.per_minute);
        self.tokens = tokens.min(f64::from(self.capacity));
        self.at = now;
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    /// How long until there is a token again.
    fn wait(&self) -> Duration {
        let missing = (1.0 - self.tokens).max(0.0);
        Duration::from_secs_f64(missing * 60.0 / f64::from(self.per_minute.max(1)))
    }
}

/// A bucket for each user.
#[derive(Debug)]
pub(crate) struct PerUser {
    capacity: u32,
    per_minute: u32,
    buckets: Mutex<HashMap<u32, Bucket>>,
}

impl PerUser {
    pub(crate) fn new(capacity: u32, per_minute: u32) -> Self {
        Self {
            capacity,
            per_minute,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token of user `uid`, or says how long to wait for one.
    pub(crate) fn take(&self, uid: u32, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED {
            let full = f64::from(self.capacity);
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                bucket.tokens < full
            });
        }
        let fresh = Bucket::full(self.capacity, self.per_minute, now);
        let bucket = buckets.entry(uid).or_insert(fresh);
        if bucket.take(now) {
            Ok(())
        } else {
            Err(bucket.wait())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_served_and_then_the_rate_holds() {
        let start = Instant::now();
        let limit = PerUser::new(3, 60);
        for _ in 0..3 {
            assert_eq!(limit.take(1, start), Ok(()));
        }
        let wait = limit.take(1, start).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        assert_eq!(limit.take(2, start), Ok(()), "users do not share");
        let later = start + Duration::from_millis(1100);
        assert_eq!(limit.take(1, later), Ok(()));
        assert!(limit.take(1, later).is_err());
        // A long rest gives back a burst, not more.
        let rested = later + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| limit.take(1, rested).is_ok()).count(), 3);
    }

    #[test]
    fn many_users_are_not_remembered_for_ever() {
        let start = Instant::now();
        let limit = PerUser::new(1, 60);
        for uid in 0..5000 {
            let now = start + Duration::from_secs(u64::from(uid));
            assert_eq!(limit.take(uid, now), Ok(()));
        }
        assert!(limit.buckets.lock().unwrap().len() <= REMEMBERED);
    }
}
