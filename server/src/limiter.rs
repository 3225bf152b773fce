//! Slows down guessing of passwords, and outlives a restart. Pure but for the store that it counts in.
//!
//! Each address has five attempts, then waits that double up to a minute. So one address has at most about twenty
//! attempts in ten minutes, and only that address waits.
//! All addresses together have a bucket too, against many of them. Addresses from which somebody has logged in are not
//! bound by it, so that a flood from elsewhere does not keep the owner out.

use actors::{Accounts, Attempts, StoreError};
use std::net::IpAddr;

/// Wrong attempts without a wait.
const FREE: u32 = 5;
/// First wait; it doubles.
const FIRST_MS: u64 = 1_000;
/// Longest wait.
const LONGEST_MS: u64 = 60_000;
/// After this long without an attempt an address begins anew.
const FORGET_MS: u64 = 15 * 60_000;
/// How long an address is remembered for a login.
const TRUST_MS: u64 = 30 * 24 * 3_600_000;
/// Attempts of all unknown addresses together that may come at once.
const GLOBAL: u32 = 100;
/// Time in which one more may come: ten a minute.
const GLOBAL_REFILL_MS: u64 = 6_000;
/// Where all addresses together are counted.
const ALL: &str = "*";

/// What an address counts as: one network of IPv6 is one subscriber.
pub(crate) fn source(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Counts an attempt as failed until [`succeeded`] says otherwise, so that parallel attempts gain nothing.
///
/// The answer is how many milliseconds to wait instead, if the address has to wait.
pub(crate) async fn attempt(accounts: &Accounts, ip: IpAddr, now: u64) -> Result<Option<u64>, StoreError> {
    accounts
        .attempts(vec![source(ip), ALL.into()], move |all| match all {
            [own, everybody] => decide(own, everybody, now),
            _ => None,
        })
        .await
}

/// Somebody logged in from this address.
pub(crate) async fn succeeded(accounts: &Accounts, ip: IpAddr, now: u64) -> Result<(), StoreError> {
    accounts
        .attempts(vec![source(ip)], move |all| {
            for own in all {
                *own = Attempts { last: now, trusted_until: now + TRUST_MS, ..Attempts::default() };
            }
        })
        .await
}

fn decide(own: &mut Attempts, everybody: &mut Attempts, now: u64) -> Option<u64> {
    if own.last.abs_diff(now) > FORGET_MS {
        *own = Attempts { trusted_until: own.trusted_until, ..Attempts::default() };
    }
    // A clock that was set back must not make anybody wait longer than the longest wait.
    let until = own.until.min(now + LONGEST_MS);
    if now < until {
        return Some(until - now);
    }
    // `until` of everybody is when the bucket was filled up to `failures`.
    let steps = now.saturating_sub(everybody.until) / GLOBAL_REFILL_MS;
    everybody.failures = everybody.failures.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
    everybody.until = now.min(everybody.until + steps * GLOBAL_REFILL_MS);
    if everybody.failures == 0 {
        everybody.until = now;
    }
    everybody.last = now;
    let trusted = now < own.trusted_until;
    if !trusted {
        if everybody.failures >= GLOBAL {
            return Some(GLOBAL_REFILL_MS);
        }
        everybody.failures += 1;
    }
    own.failures = own.failures.saturating_add(1);
    own.last = now;
    if own.failures >= FREE {
        let wait = FIRST_MS.saturating_mul(1 << (own.failures - FREE).min(6)).min(LONGEST_MS);
        own.until = now + wait;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn five_are_free_and_then_waits_double_up_to_a_minute() {
        let (mut own, mut all, mut now) = (Attempts::default(), Attempts::default(), 1_000_000);
        for _ in 0..5 {
            assert_eq!(decide(&mut own, &mut all, now), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(decide(&mut own, &mut all, now), Some(seconds * 1_000));
            now += seconds * 1_000;
            assert_eq!(decide(&mut own, &mut all, now), None);
        }
        now += FORGET_MS + 1;
        for _ in 0..5 {
            assert_eq!(decide(&mut own, &mut all, now), None);
        }
    }

    #[test]
    fn a_clock_that_jumps_keeps_nobody_out_for_longer_than_a_minute() {
        let (mut own, mut all) = (Attempts::default(), Attempts::default());
        for _ in 0..5 {
            decide(&mut own, &mut all, 100_000_000);
        }
        assert!(decide(&mut own, &mut all, 99_999_000).is_some_and(|wait| wait <= LONGEST_MS));
        assert_eq!(decide(&mut own, &mut all, 1_000), None, "a year back");
    }

    #[test]
    fn many_addresses_together_are_bound_but_known_ones_are_not() {
        let mut all = Attempts::default();
        let now = 50_000_000;
        let mut evaluated = 0;
        for _ in 0..10_000 {
            evaluated += u32::from(decide(&mut Attempts::default(), &mut all, now).is_none());
        }
        assert_eq!(evaluated, GLOBAL);
        let mut known = Attempts { trusted_until: now + 1, ..Attempts::default() };
        assert_eq!(decide(&mut known, &mut all, now), None);
        assert!(decide(&mut Attempts::default(), &mut all, now + GLOBAL_REFILL_MS).is_none(), "it refills");
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let one = source("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, source("2001:db8:1:2:ffff::7".parse().unwrap()));
        assert_ne!(one, source("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(source("::ffff:10.0.0.1".parse().unwrap()), source(IP));
    }

    #[tokio::test]
    async fn brute_force_of_ten_thousand_guesses_has_twenty_answers_in_ten_minutes() {
        let accounts = Accounts::for_test().await;
        let mut evaluated = 0;
        // One guess every 60 ms of ten minutes; every handle on the store is a new server.
        for guess in 0..10_000_u64 {
            let accounts = accounts.clone();
            evaluated += u32::from(attempt(&accounts, IP, 7_000_000 + guess * 60).await.unwrap().is_none());
        }
        assert!(evaluated <= 20, "{evaluated}");
        let owner = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(attempt(&accounts, owner, 7_600_000).await.unwrap(), None, "another address gets in");
        succeeded(&accounts, IP, 7_600_000).await.unwrap();
        assert_eq!(attempt(&accounts, IP, 7_600_000).await.unwrap(), None);
    }
}
