//! How many connections each address has: nobody alone may take all of them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;

/// The network that one subscriber of IPv6 has to itself: its upper 64 bits.
const SUBSCRIBER: u128 = !0 << 64;

/// The addresses that are here now, with how often.
#[derive(Debug)]
pub struct Crowd {
    max: usize,
    present: Mutex<AHashMap<IpAddr, usize>>,
}

impl Crowd {
    /// Lets each address be here `max` times at once; 0 for any number.
    #[must_use]
    pub fn new(max: usize) -> Arc<Crowd> {
        Arc::new(Crowd { max, present: Mutex::default() })
    }

    /// Takes a place for an address until what is returned is dropped; `None` when it has all that
    /// it may have.
    #[must_use]
    pub fn enter(self: &Arc<Crowd>, address: IpAddr) -> Option<Place> {
        let address = subscriber(address);
        let mut present = self.present.lock();
        let taken = present.entry(address).or_default();
        if self.max > 0 && *taken >= self.max {
            return None;
        }
        *taken += 1;
        Some(Place { crowd: Arc::clone(self), address })
    }
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & SUBSCRIBER)),
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock();
        if let Some(taken) = present.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                present.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_so_many_places_and_leaves_nothing_behind() {
        let crowd = Crowd::new(2);
        let enter = |address: &str| crowd.enter(address.parse().expect("an address"));
        let (first, second) = (enter("10.0.0.1"), enter("::ffff:10.0.0.1"));
        assert!(first.is_some() && second.is_some() && enter("10.0.0.1").is_none());
        let (theirs, neighbours) = (enter("2001:db8:0:1::1"), enter("2001:db8:0:1:ffff::2"));
        assert!(theirs.is_some() && neighbours.is_some(), "one subscriber has one network");
        assert!(enter("2001:db8:0:1::3").is_none() && enter("2001:db8:0:2::3").is_some());
        drop((first, second, theirs, neighbours));
        assert!(crowd.present.lock().is_empty());
        let open = Crowd::new(0);
        let places: Vec<_> = (0..9).map(|_| open.enter(IpAddr::from([10, 0, 0, 1]))).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
