//! Places for connections that have not paired: each costs memory before anybody has shown who they are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections of one address: an office behind one address pairs its agents at the same hour.
const OF_ONE: usize = 100;
/// Connections in all, on each node.
const OF_ALL: usize = 1_000;

/// Counts connections until they have paired. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Places {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    address: Option<IpAddr>,
}

impl Places {
    /// A place for a connection from this address, or from one that nobody knows; none when there are too many.
    pub fn take(&self, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = address.map_or(0, |address| taken.of.get(&address).copied().unwrap_or_default());
        if taken.all >= OF_ALL || of_this >= OF_ONE {
            return None;
        }
        taken.all += 1;
        if let Some(address) = address {
            taken.of.insert(address, of_this + 1);
        }
        Some(Place { places: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(of_this) = taken.of.get_mut(&address) {
            *of_this -= 1;
            if *of_this == 0 {
                taken.of.remove(&address);
            }
        }
    }
}

/// Address range of one subscriber: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_has_so_many_places_whatever_its_spelling() {
        let places = Places::default();
        let mut held: Vec<Place> = (0..OF_ONE).filter_map(|_| places.take(address("192.0.2.1"))).collect();
        assert_eq!(held.len(), OF_ONE);
        assert!(places.take(address("192.0.2.1")).is_none());
        assert!(places.take(address("::ffff:192.0.2.1")).is_none());
        assert!(places.take(address("192.0.2.2")).is_some());
        held.pop();
        assert!(places.take(address("192.0.2.1")).is_some());
    }

    #[test]
    fn one_subscriber_has_one_network_of_ipv6() {
        let places = Places::default();
        let from = |host: usize| places.take(address(&format!("2001:db8::{host:x}")));
        let held: Vec<Place> = (0..OF_ONE).filter_map(from).collect();
        assert_eq!(held.len(), OF_ONE);
        assert!(from(OF_ONE).is_none());
        assert!(places.take(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn all_together_have_so_many_places_also_where_no_address_is_known() {
        let places = Places::default();
        let held: Vec<Place> = (0..OF_ALL).filter_map(|_| places.take(None)).collect();
        assert_eq!(held.len(), OF_ALL);
        assert!(places.take(None).is_none() && places.take(address("192.0.2.1")).is_none());
        drop(held);
        assert_eq!(places.taken.lock().expect("not poisoned").all, 0);
    }
}
