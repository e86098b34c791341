//! Fills in the front door's configuration.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Plan, Routing};
use crate::user::RunAs;

const TEMPLATE: &str = include_str!("../../../../nginx/nginx.conf.template");

pub fn render(plan: &Plan, folder: &str, user: &RunAs) -> String {
    let user = match user {
        RunAs::Us => String::new(),
        RunAs::Other { name, gid, .. } => user_line(name, *gid),
    };
    let balance = match plan.routing {
        Routing::Sticky => "hash $ah5_route consistent;",
        Routing::Random => "random;",
    };
    let values = [
        ("${AH5_USER}", user),
        ("${AH5_FOLDER}", folder.to_owned()),
        ("${AH5_LISTEN}", listen(&plan.listen)),
        ("${AH5_BALANCE}", balance.to_owned()),
        ("${AH5_DATA_PLANES}", servers(&plan.data_planes)),
        ("${AH5_CONTROL_PLANES}", servers(&plan.control_planes)),
    ];
    let fill = |text: String, (name, value): &(&str, String)| text.replace(name, value);
    values.iter().fold(TEMPLATE.to_owned(), fill)
}

// Without a group nginx looks for one of the user's name, and `nobody` often has none.
fn user_line(name: &str, gid: u32) -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let of_gid = |line: &&str| line.split(':').nth(2) == Some(&gid.to_string());
    let group = groups.lines().find(of_gid);
    let group = group.and_then(|line| line.split(':').next());
    format!("user {name} {};", group.unwrap_or(name))
}

fn listen(addresses: &[SocketAddr]) -> String {
    addresses.iter().fold(String::new(), |mut lines, address| {
        // `reuseport` is how a port that was reserved for nginx is taken over.
        let _ = write!(lines, "listen {address} reuseport; ");
        lines
    })
}

fn servers(addresses: &[SocketAddr]) -> String {
    if addresses.is_empty() {
        // A group can't be empty; this one answers 502.
        return "server 127.0.0.1:1 down;".to_owned();
    }
    addresses.iter().fold(String::new(), |mut lines, address| {
        let _ = write!(lines, "server {address} max_fails=2 fail_timeout=2s; ");
        lines
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left() {
        let plan = Plan {
            folder: "/tmp/door".into(),
            log: "/tmp/door.log".into(),
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            routing: Routing::Sticky,
            data_planes: Vec::new(),
            control_planes: Vec::new(),
        };
        let text = render(&plan, "/tmp/door", &RunAs::Us);
        let rest = text.lines().skip(3).find(|line| line.contains("${"));
        assert_eq!(rest, None);
    }
}
