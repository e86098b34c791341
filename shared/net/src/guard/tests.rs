use uuid::Uuid;

use super::*;

fn exemptions(entries: &[&str], loopback_origin: bool) -> Exemptions {
    let entries: Vec<String> = entries.iter().map(ToString::to_string).collect();
    Exemptions::parse(&entries, loopback_origin).unwrap()
}

const ANY: WorkspaceId = WorkspaceId::from_uuid(Uuid::from_u128(1));

fn check(guard: &Guard, host: &str, port: u16, ip: &str) -> Result<(), String> {
    check_for(guard, ANY, host, port, ip)
}

fn check_for(
    guard: &Guard,
    workspace: WorkspaceId,
    host: &str,
    port: u16,
    ip: &str,
) -> Result<(), String> {
    let target = Target {
        workspace,
        host,
        port,
        plain: false,
    };
    guard.check(target, &[ip.parse().unwrap()]).map(drop)
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
    let target = Target {
        workspace: ANY,
        host: "two.test",
        port: 443,
        plain: false,
    };
    let why = guard.check(target, &ips).unwrap_err();
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
    assert!(exemptions(&["EXAMPLE.test:80"], false).covers(ANY, "example.test", 80));
    assert!(exemptions(&["[::1]:80"], false).covers(ANY, "::1", 80));
}

#[test]
fn an_exemption_is_of_its_workspace_host_port_and_network() {
    let (ours, theirs) = (WorkspaceId::random(), WorkspaceId::random());
    let entry = format!("{ours}@db.test:8443=10.1.0.0/16");
    let guard = Guard {
        exemptions: exemptions(&[&entry, "*@all.test:80=10.9.9.9"], false),
        ..Guard::default()
    };
    let ask = |who, host, port, ip| check_for(&guard, who, host, port, ip).is_ok();
    assert!(ask(ours, "db.test", 8443, "10.1.2.3"));
    assert!(!ask(theirs, "db.test", 8443, "10.1.2.3"));
    assert!(!ask(
        WorkspaceId::from_uuid(Uuid::nil()),
        "db.test",
        8443,
        "10.1.2.3"
    ));
    assert!(!ask(ours, "db2.test", 8443, "10.1.2.3"));
    assert!(!ask(ours, "db.test", 443, "10.1.2.3"));
    for outside in ["10.2.0.1", "127.0.0.1", "169.254.169.254", "fd12::1"] {
        assert!(!ask(ours, "db.test", 8443, outside), "{outside}");
    }
    for who in [ours, theirs] {
        assert!(ask(who, "all.test", 80, "10.9.9.9"));
        assert!(!ask(who, "all.test", 80, "10.9.9.8"));
    }
}

#[test]
fn plain_http_goes_to_the_network_of_the_exemption_only() {
    let guard = Guard {
        exemptions: exemptions(&["*@db.test:80=10.1.0.0/16", "any.test:80"], false),
        ..Guard::default()
    };
    let ask = |host, ip: &str| {
        let target = Target {
            workspace: ANY,
            host,
            port: 80,
            plain: true,
        };
        guard.check(target, &[ip.parse().unwrap()])
    };
    assert!(ask("db.test", "10.1.0.1").is_ok());
    let why = ask("db.test", "1.1.1.1").unwrap_err();
    assert_eq!(why, "Blocked: db.test may only be called by https");
    assert!(ask("any.test", "1.1.1.1").is_ok());
    assert!(ask("other.test", "1.1.1.1").is_err());
}

#[test]
fn networks_that_can_never_be_exempted_are_faults() {
    for bad in [
        "h.test:80=169.254.0.0/16",
        "h.test:80=169.254.169.254",
        "h.test:80=fe80::/10",
        "h.test:80=fd00:ec2::254",
        "h.test:80=0.0.0.0/0",
        "h.test:80=::/0",
        "h.test:80=::ffff:0:0/96",
        "h.test:80=10.0.0.0/33",
        "h.test:80=",
        "h.test=127.0.0.0/8",
        "h.test=::1",
        "@h.test:80",
        "acme@h.test:80",
        "*@*@h.test:80",
    ] {
        assert!(
            Exemptions::parse(&[bad.to_owned()], false).is_err(),
            "{bad}"
        );
    }
    let guard = Guard {
        exemptions: exemptions(&["h.test:80=127.0.0.1", "w.test:80=168.0.0.0/7"], false),
        own_addrs: vec!["127.0.0.1:80".parse().unwrap()],
        ..Guard::default()
    };
    assert!(check(&guard, "h.test", 80, "127.0.0.1").is_err(), "ours");
    for inside in ["169.254.169.254", "168.63.129.16"] {
        assert!(check(&guard, "w.test", 80, inside).is_err(), "{inside}");
    }
}
