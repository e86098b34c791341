use super::*;

fn exemptions(entries: &[&str], loopback_origin: bool) -> Exemptions {
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    Exemptions::parse(&entries, loopback_origin).unwrap()
}

fn check(guard: &Guard, host: &str, port: u16, ip: &str) -> Result<(), String> {
    guard.check(host, port, &[ip.parse().unwrap()]).map(drop)
}

#[test]
fn only_global_addresses_are_public() {
    for ip in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "2606:4700::1",
        "2a00:1450::8",
    ] {
        assert_eq!(classify(ip.parse().unwrap()), AddressKind::Public, "{ip}");
    }
    for ip in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fd00:ec2::254",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert_ne!(classify(ip.parse().unwrap()), AddressKind::Public, "{ip}");
    }
}

#[test]
fn metadata_and_link_local_are_never_exempt() {
    for entry in [
        "169.254.169.254",
        "169.254.169.254:80",
        "[fe80::1]:80",
        "[fd00:ec2::254]:80",
        "0.0.0.0:80",
    ] {
        assert!(
            Exemptions::parse(&[entry.to_owned()], true).is_err(),
            "{entry}"
        );
    }
    let guard = Guard {
        exemptions: exemptions(&["metadata.test"], true),
        ..Guard::default()
    };
    for ip in [
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "fe80::1",
        "::ffff:127.0.0.1",
    ] {
        assert!(check(&guard, "metadata.test", 80, ip).is_err(), "{ip}");
    }
}

#[test]
fn loopback_needs_the_exact_port_outside_development() {
    let production = Guard {
        exemptions: exemptions(&["echo.test", "mail.test:2525"], false),
        ..Guard::default()
    };
    assert!(check(&production, "echo.test", 443, "10.0.0.9").is_ok());
    assert!(check(&production, "echo.test", 80, "10.0.0.9").is_err());
    assert!(check(&production, "echo.test", 443, "127.0.0.1").is_err());
    assert!(check(&production, "mail.test", 2525, "127.0.0.1").is_ok());
    let development = Guard {
        exemptions: exemptions(&["echo.test"], true),
        ..Guard::default()
    };
    assert!(check(&development, "echo.test", 41_234, "127.0.0.1").is_ok());
    assert!(check(&development, "other.test", 41_234, "127.0.0.1").is_err());
}

#[test]
fn one_bad_address_refuses_them_all() {
    let guard = Guard::default();
    let ips = ["1.1.1.1", "10.0.0.1"].map(|ip| ip.parse().unwrap());
    let why = guard.check("two.test", 443, &ips).unwrap_err();
    assert_eq!(
        why,
        "Blocked: hostname two.test resolves to private IP 10.0.0.1"
    );
    let why = check(&guard, "10.0.0.1", 443, "10.0.0.1").unwrap_err();
    assert_eq!(why, "Blocked: request to private IP address 10.0.0.1");
}

#[test]
fn we_never_call_ourselves() {
    let guard = Guard {
        exemptions: exemptions(&["me.test", "127.0.0.1", "localhost", "[::1]"], true),
        own_addrs: vec![
            "0.0.0.0:4100".parse().unwrap(),
            "127.0.0.1:5432".parse().unwrap(),
        ],
        own_origins: vec![("localhost".into(), 8080), ("ah5.example".into(), 443)],
    };
    assert!(guard.check_target("ah5.example", 443).is_err());
    assert!(guard.check_target("ah5.example", 8443).is_ok());
    for (port, ip) in [
        (4100, "127.0.0.1"),
        (5432, "127.0.0.1"),
        (8080, "127.0.0.3"),
        (8080, "::1"),
    ] {
        assert!(check(&guard, "me.test", port, ip).is_err(), "{ip}:{port}");
    }
    assert!(check(&guard, "me.test", 9999, "127.0.0.1").is_ok());
}

#[test]
fn entries_are_checked_when_they_are_read() {
    for bad in ["*.test", "h:0", "h:99999", "h:x", "", "a b"] {
        assert!(Exemptions::parse(&[bad.to_owned()], true).is_err(), "{bad}");
    }
    assert!(exemptions(&["EXAMPLE.test:80"], false).covers("example.test", 80));
    assert!(exemptions(&["[::1]:80"], false).covers("::1", 80));
}
