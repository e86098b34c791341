//! The operator's exemptions from the address rules: `SSRF_ALLOWLIST_HOSTS`. Each is of one workspace
//! or of all, for one host and port, and may be bound to a network.

use std::net::IpAddr;

use ah5_contracts::id::WorkspaceId;
use ipnet::IpNet;

use super::{AddressKind, Target, classify, split_host_port};

#[derive(Clone, Debug, Default)]
pub struct Exemptions {
    entries: Vec<Exemption>,
}

#[derive(Clone, Debug)]
struct Exemption {
    host: String,
    /// Whether the host may be at a loopback address.
    loopback: bool,
    /// `None` is any address, but those that can never be exempted.
    network: Option<IpNet>,
    /// `None` is any port.
    port: Option<u16>,
    /// `None` is every workspace, and what belongs to none.
    workspace: Option<WorkspaceId>,
}

// === impl Exemptions ===

impl Exemptions {
    /// Entries are `[WORKSPACE@]HOST[:PORT][=NETWORK]`. No workspace, or `*`, is all of them; no port
    /// is 443, or any with a public origin on loopback (a developer's machine); no network is any
    /// address.
    ///
    /// # Errors
    /// One sentence for each entry that is malformed or can never be exempted.
    pub fn parse(entries: &[String], loopback_origin: bool) -> Result<Self, Vec<String>> {
        let mut parsed = Vec::new();
        let mut faults = Vec::new();
        for entry in entries {
            match Exemption::parse(entry, loopback_origin) {
                Ok(exemption) => parsed.push(exemption),
                Err(fault) => faults.push(format!("{entry}: {fault}")),
            }
        }
        if faults.is_empty() {
            Ok(Self { entries: parsed })
        } else {
            Err(faults)
        }
    }

    /// Whether this host and port are exempt for the workspace. Also the rule for plain http, which
    /// is held again to the entry's network when there is an address.
    #[must_use]
    pub fn covers(&self, workspace: WorkspaceId, host: &str, port: u16) -> bool {
        self.fitting(workspace, host, port).next().is_some()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one opens this very address to who asks.
    pub(super) fn open(&self, target: Target<'_>, ip: IpAddr) -> bool {
        self.fitting(target.workspace, target.host, target.port)
            .any(|exemption| exemption.opens(ip))
    }

    fn fitting(
        &self,
        workspace: WorkspaceId,
        host: &str,
        port: u16,
    ) -> impl Iterator<Item = &Exemption> {
        self.entries.iter().filter(move |it| {
            it.host == host
                && it.port.is_none_or(|it| it == port)
                && it.workspace.is_none_or(|it| it == workspace)
        })
    }
}

impl Exemption {
    fn parse(entry: &str, loopback_origin: bool) -> Result<Self, &'static str> {
        let (entry, network) = match entry.split_once('=') {
            Some((entry, network)) => (entry, Some(parse_network(network)?)),
            None => (entry, None),
        };
        let (workspace, entry) = match entry.split_once('@') {
            Some(("*", entry)) => (None, entry),
            Some((id, entry)) => (Some(id.parse().map_err(|_| NO_WORKSPACE)?), entry),
            None => (None, entry),
        };
        let (host, port) = split_host_port(entry)?;
        if let Ok(ip) = host.parse()
            && classify(ip) == AddressKind::Forbidden
        {
            return Err(NEVER);
        }
        let loopback = port.is_some() || loopback_origin;
        if !loopback && network.is_some_and(|it| it.addr().is_loopback()) {
            return Err("a loopback address takes a port");
        }
        Ok(Self {
            host,
            loopback,
            network,
            port: if loopback_origin {
                port
            } else {
                port.or(Some(443))
            },
            workspace,
        })
    }

    fn opens(&self, ip: IpAddr) -> bool {
        let allowed = match classify(ip) {
            AddressKind::Forbidden => false,
            AddressKind::Loopback => self.loopback,
            AddressKind::Private | AddressKind::Public => true,
        };
        allowed && self.network.is_none_or(|network| network.contains(&ip))
    }
}

/// A network in CIDR form, or one address. One that begins and ends among addresses that are never
/// exempt opens nothing, or nearly everything.
fn parse_network(text: &str) -> Result<IpNet, &'static str> {
    let one = || text.parse().ok().map(|ip: IpAddr| IpNet::from(ip));
    let network = text.parse().ok().or_else(one);
    let network: IpNet = network.ok_or("the network is not ADDRESS/LENGTH")?;
    let ends = [network.network(), network.broadcast()];
    if ends.map(classify) == [AddressKind::Forbidden; 2] {
        return Err(NEVER);
    }
    Ok(network.trunc())
}

const NEVER: &str = "this address can never be exempted";
const NO_WORKSPACE: &str = "what stands before @ is neither a workspace's id nor *";
