//! Which addresses are public, which is where a plugin may go unless the operator says more; and which names are this
//! machine's own.
//!
//! What is not known to be public is not: of IPv6 only the global unicast block counts, less its reserved parts. An IPv6
//! address that carries an IPv4 address, because something on the way translates it, is judged by that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::uri::Authority;

/// A kind of address that is not public, as messages name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// This machine.
    Loopback,
    /// A network of one's own: RFC 1918, carrier-grade NAT, unique local.
    Private,
    /// This very link. Clouds serve the machine's own credentials there.
    LinkLocal,
    /// Many receivers.
    Multicast,
    /// No address at all, or one for examples, measurements and the future.
    Reserved,
}

/// What the address is instead of public; none if it is public.
pub fn not_public(address: IpAddr) -> Option<Scope> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

/// The name or address in a `Host`, in lower case and without brackets; none if it is no `Host`.
pub fn name_of(host: &str) -> Option<String> {
    let authority = host.parse::<Authority>().ok()?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

/// What this machine is called, as its own administrator set it, cut to the 63 bytes of a name in DNS.
pub fn own_name() -> String {
    let name = hostname::get().unwrap_or_default();
    let mut name: String = name.to_string_lossy().chars().filter(|c| !c.is_control()).collect();
    name.truncate(name.floor_char_boundary(63));
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// Whether that is what only this machine calls itself.
pub fn is_this_machine(name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<Scope> {
    Some(match address.octets() {
        [127, ..] => Scope::Loopback,
        // RFC 1918; 100.64/10 between a provider and its customers (RFC 6598); Azure's agent, which every machine there
        // reaches at what looks like a public address.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [168, 63, 129, 16] => {
            Scope::Private
        }
        [169, 254, ..] => Scope::LinkLocal,
        [224..=239, ..] => Scope::Multicast,
        // "This network", and the space's end with the broadcast address; protocols' own; three for documentation; the
        // former relays of 6to4; measurements.
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..] => Scope::Reserved,
        _ => return None,
    })
}

fn not_public_v6(address: Ipv6Addr) -> Option<Scope> {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        not_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Scope::Loopback),
        // IPv4-mapped; the well-known prefix of NAT64; 6to4, which has the relay's address behind its prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Teredo names its server, and last the client, inverted.
        [0x2001, 0, high, low, .., client_high, client_low] => {
            embedded(high, low).or_else(|| embedded(!client_high, !client_low))
        }
        [0xfe80..=0xfebf, ..] => Some(Scope::LinkLocal),
        // Unique local, and what was site-local before.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Scope::Private),
        [0xff00..=0xffff, ..] => Some(Scope::Multicast),
        // Protocols' own (2001::/23), documentation (2001:db8::/32, 3fff::/20).
        [0x2001, 0x1..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(Scope::Reserved),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(Scope::Reserved),
    }
}

// === impl Scope ===

impl Scope {
    /// As it follows on "it has": "an address of a private network".
    pub fn words(self) -> &'static str {
        match self {
            Self::Loopback => "this machine's own address",
            Self::Private => "an address of a private network",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(address: &str) -> Option<Scope> {
        not_public(address.parse().unwrap())
    }

    #[test]
    fn servers_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "93.184.215.14",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00:1450:4001::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2001:0:101:101:0:0:fefe:fefe",
        ] {
            assert_eq!(scope(address), None, "{address}");
        }
    }

    #[test]
    fn every_other_range_is_named() {
        use Scope::{LinkLocal, Loopback, Multicast, Private, Reserved};
        for (address, expected) in [
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("::1", Loopback),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.100.100.200", Private),
            ("100.127.255.255", Private),
            ("168.63.129.16", Private),
            ("fd00:ec2::254", Private),
            ("fc00::1", Private),
            ("fec0::1", Private),
            ("169.254.169.254", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("ff02::1", Multicast),
            ("0.0.0.0", Reserved),
            ("0.1.2.3", Reserved),
            ("192.0.0.192", Reserved),
            ("192.0.2.1", Reserved),
            ("198.51.100.1", Reserved),
            ("203.0.113.1", Reserved),
            ("192.88.99.1", Reserved),
            ("198.18.0.1", Reserved),
            ("198.19.255.255", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("::", Reserved),
            ("::1.1.1.1", Reserved),
            ("64:ff9b:1::1", Reserved),
            ("100::1", Reserved),
            ("2001:2::1", Reserved),
            ("2001:db8::1", Reserved),
            ("3fff::1", Reserved),
            ("5f00::1", Reserved),
        ] {
            assert_eq!(scope(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn a_teredo_address_is_judged_by_its_server_and_its_client() {
        assert_eq!(scope("2001:0:7f00:1:0:0:fefe:fefe"), Some(Scope::Loopback));
        // ^10.0.0.1
        assert_eq!(scope("2001:0:101:101:0:0:f5ff:fffe"), Some(Scope::Private));
    }

    proptest! {
        #[test]
        fn an_embedded_address_hides_nothing(bits in any::<u32>(), rest in any::<u64>()) {
            let plain = not_public(Ipv4Addr::from_bits(bits).into());
            let wide = u128::from(bits);
            let mapped = Ipv6Addr::from_bits(0xffff_u128 << 32 | wide);
            let translated = Ipv6Addr::from_bits(0x0064_ff9b_u128 << 96 | wide);
            let relayed = Ipv6Addr::from_bits(0x2002_u128 << 112 | wide << 80 | u128::from(rest));
            for address in [mapped, translated, relayed] {
                prop_assert_eq!(not_public(address.into()), plain, "{}", address);
            }
        }

        #[test]
        fn what_the_standard_library_knows_to_be_special_is_never_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_loopback() || address.is_private() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || not_public(address.into()).is_some(), "{}", address);
        }

        #[test]
        fn only_global_unicast_is_public_in_ipv6(bits in any::<u128>()) {
            let address = Ipv6Addr::from_bits(bits);
            let carries_ipv4 = bits >> 32 == 0xffff || bits >> 32 == 0x0064_ff9b_u128 << 64;
            prop_assert!(not_public(address.into()).is_some() || bits >> 125 == 1 || carries_ipv4, "{}", address);
        }
    }
}
