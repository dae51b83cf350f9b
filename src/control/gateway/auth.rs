//! Basic Auth (RFC 7617) without a clock, a socket or a header map: credentials, verdicts, and the brake on guessing.

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// The challenge: names the realm and asks for UTF-8 (RFC 7617 section 2.1).
pub(super) const CHALLENGE: &str = r#"Basic realm="skill-init terminal", charset="UTF-8""#;

/// The expected credentials, kept as a digest only.
#[derive(Clone)]
pub struct Credentials([u8; 32]);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

/// What a request's credentials are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There are none (or of another scheme).
    Missing,
    /// Wrong.
    Wrong,
    /// Right.
    Right,
}

impl Credentials {
    /// User name and password, any UTF-8.
    pub fn new(user: &str, password: &str) -> Self {
        Self(digest(BASE64_STANDARD.encode(format!("{user}:{password}")).as_bytes()))
    }

    /// Judges the value of an `Authorization` header. The comparison takes the same time whatever differs.
    pub(super) fn check(&self, header: Option<&[u8]>) -> Verdict {
        let Some((scheme, token)) = header.and_then(|header| {
            let space = header.iter().position(|byte| *byte == b' ')?;
            Some((header.get(..space)?, header.get(space + 1..)?.trim_ascii()))
        }) else {
            return Verdict::Missing;
        };
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return Verdict::Missing;
        }
        let differs = digest(token).iter().zip(self.0).fold(0, |differs, (a, b)| differs | (a ^ b));
        if std::hint::black_box(differs) == 0 { Verdict::Right } else { Verdict::Wrong }
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Wrong guesses that an address has at once.
const BURST: u32 = 10;
/// One more guess comes back after this long.
const REFILL: Duration = Duration::from_secs(5);
/// Addresses that are remembered; beyond them all others share one allowance.
const ADDRESSES: usize = 1024;

/// The brake on guessing: each address has `BURST` wrong guesses, and one more every `REFILL`.
///
/// An address with none left is refused whatever it sends, so that the brake tells nothing about a guess.
#[derive(Debug, Default)]
pub(super) struct Brake {
    spent: HashMap<IpAddr, Spent>,
    others: Spent,
}

/// Guesses spent, as of a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    count: u32,
    since: Option<Instant>,
}

impl Spent {
    fn settle(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let back = now.saturating_duration_since(since).as_secs() / REFILL.as_secs();
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(back);
        self.since = if self.count == 0 { None } else { since.checked_add(REFILL.saturating_mul(back)) };
    }
}

impl Brake {
    /// May this address try? `Err`: how long to wait.
    pub(super) fn allows(&mut self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let full = self.spent.len() >= ADDRESSES;
        let spent = match self.spent.get_mut(&key(peer)) {
            Some(spent) => spent,
            None if full => &mut self.others,
            None => return Ok(()),
        };
        spent.settle(now);
        if spent.count < BURST { Ok(()) } else { Err(REFILL) }
    }

    /// This address guessed wrong.
    pub(super) fn wrong(&mut self, peer: IpAddr, now: Instant) {
        if self.spent.len() >= ADDRESSES {
            self.spent.retain(|_, spent| {
                spent.settle(now);
                spent.count > 0
            });
        }
        let full = self.spent.len() >= ADDRESSES && !self.spent.contains_key(&key(peer));
        let spent = if full { &mut self.others } else { self.spent.entry(key(peer)).or_default() };
        spent.settle(now);
        spent.count = spent.count.saturating_add(1).min(BURST);
        spent.since.get_or_insert(now);
    }
}

/// IPv6 by its /64: one host has all of it.
fn key(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(user: &str, password: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))).into_bytes()
    }

    #[test]
    fn right_wrong_and_missing_are_told_apart() {
        let credentials = Credentials::new("ann", "pä:ss wörd");
        assert_eq!(credentials.check(Some(&header("ann", "pä:ss wörd"))), Verdict::Right);
        assert_eq!(
            credentials.check(Some(&[b"bAsIc  ".as_slice(), &header("ann", "pä:ss wörd")[6..], b" "].concat())),
            Verdict::Right
        );
        for (user, password) in [("ann", "pä:ss word"), ("Ann", "pä:ss wörd"), ("", ""), ("ann", "pä:ss wörd ")] {
            assert_eq!(credentials.check(Some(&header(user, password))), Verdict::Wrong, "{user} {password}");
        }
        assert_eq!(credentials.check(Some(b"Basic ")), Verdict::Wrong);
        for none in [None, Some(b"Bearer x".as_slice()), Some(b"Basic"), Some(b"")] {
            assert_eq!(credentials.check(none), Verdict::Missing);
        }
    }

    #[test]
    fn no_debug_output_holds_the_password() {
        assert_eq!(format!("{:?}", Credentials::new("ann", "secret")), "Credentials([redacted])");
    }

    #[test]
    fn guesses_run_out_and_come_back() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        let (guesser, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..BURST {
            assert!(brake.allows(guesser, now).is_ok());
            brake.wrong(guesser, now);
        }
        assert!(brake.allows(guesser, now).is_err());
        assert!(brake.allows(other, now).is_ok());
        assert!(brake.allows(guesser, now + REFILL).is_ok());
        brake.wrong(guesser, now + REFILL);
        assert!(brake.allows(guesser, now + REFILL).is_err());
    }

    #[test]
    fn many_addresses_share_the_last_allowance_and_memory_stays_bounded() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..100_000_u32 {
            brake.wrong(std::net::Ipv4Addr::from(n).into(), now);
        }
        assert!(brake.spent.len() <= ADDRESSES);
        assert!(brake.allows("203.0.113.9".parse().unwrap(), now).is_err());
        assert!(brake.allows("203.0.113.9".parse().unwrap(), now + REFILL * BURST).is_ok());
    }

    #[test]
    fn one_v6_network_is_one_guesser() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for n in 0..BURST {
            brake.wrong(format!("2001:db8::{n:x}").parse().unwrap(), now);
        }
        assert!(brake.allows("2001:db8::ffff".parse().unwrap(), now).is_err());
        assert!(brake.allows("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
    }
}
