//! Requests of HTTP/1 that two readers could read in two ways, directly and through nginx.

use std::net::SocketAddr;

use ah5_testkit::client::Http;

use crate::fate::{self, Fate, Tried, judge, others_are_served};
use crate::rows::{self, Row};
use crate::support::World;
use crate::wire::{Heard, exchange};

/// What stands for what in a row's text.
struct Words {
    path: String,
    behind: String,
    head: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_one_request_or_none_directly_and_through_nginx() {
    let world = fate::world().await;
    let (plane, front) = (world.stack.data_plane(0).listen, world.stack.front());
    let mut tried = Vec::new();
    let mut faults = Vec::new();
    for row in rows::all() {
        for (way, address, fate) in [
            ("directly", plane, row.direct),
            ("through nginx", front, row.front),
        ] {
            let what = format!("{} {way}", row.what);
            let number = tried.len();
            let (one, fault) = attempt(&world, &row, address, fate, number).await;
            faults.extend(fault.err().map(|fault| format!("{what}: {fault}")));
            tried.push(Tried { what, ..one });
            let http = Http::new(format!("http://{address}"));
            let served = others_are_served(&world, &http).await;
            faults.extend(served.err().map(|fault| format!("{}: {fault}", row.what)));
        }
    }
    faults.extend(judge(&world, &tried).await);
    println!("{} attempts", tried.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn attempt(
    world: &World,
    row: &Row,
    address: SocketAddr,
    fate: Fate,
    number: usize,
) -> (Tried, Result<(), String>) {
    let path = fate::path(world, &number.to_string());
    let words = Words::new(world, &path);
    let hangs_up = matches!(fate, Fate::Broken);
    let bytes = words.put_into(&row.text);
    let (answers, rest) = exchange(address, &bytes, hangs_up).await;
    let body = match fate {
        Fate::Sent(body) => body.replace(BEHIND, &words.behind),
        _ => String::new(),
    };
    let mut tried = Tried {
        what: String::new(),
        fate,
        path,
        body,
        recorded: Vec::new(),
    };
    let good = tried.hear(&answers, &rest);
    let good = good.map_err(|why| format!("{fate:?}, {why}: {}", told(&answers, &rest)));
    (tried, good)
}

fn told(answers: &[Heard], rest: &[u8]) -> String {
    let told = |answer: &Heard| {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        format!("{} {body:.300}", answer.status)
    };
    let mut told: Vec<String> = answers.iter().map(told).collect();
    told.push(format!("{:.200}", String::from_utf8_lossy(rest)));
    told.join(" | ")
}

// === impl Tried ===

impl Tried {
    /// Whether the answers are those of its fate.
    fn hear(&mut self, answers: &[Heard], rest: &[u8]) -> Result<(), &'static str> {
        if !answers.iter().all(Heard::is_plain) {
            return Err("the answer is no JSON");
        }
        match (self.fate, answers) {
            (Fate::Refused([]) | Fate::Broken, []) => Ok(()),
            (Fate::Refused([]) | Fate::Broken, [one]) if one.status >= 400 => Ok(()),
            (Fate::Refused(statuses), [one]) if statuses.contains(&one.status) => Ok(()),
            (Fate::Denied(statuses), [one, others @ ..]) if statuses.contains(&one.status) => {
                if one.status == 403 {
                    self.record("execution_denied", &one.json());
                }
                self.hear_behind(others)
            }
            (Fate::Sent(_), [first, others @ ..]) if first.status == 200 => {
                let id = first.header("x-ah5-audit-id").unwrap_or_default();
                self.recorded.push(("execution_completed", id.to_owned()));
                let echoed = &first.json()["path"];
                if !rest.is_empty() || *echoed != format!("/v2{}", self.path) {
                    return Err("the answer is another's");
                }
                self.hear_behind(others)
            }
            _ => Err("the answer is another one"),
        }
    }

    /// What came behind it is a request of its own, which is judged.
    fn hear_behind(&mut self, others: &[Heard]) -> Result<(), &'static str> {
        match others {
            [] => Ok(()),
            [one] if one.status == 403 => {
                self.record("execution_denied", &one.json());
                Ok(())
            }
            _ => Err("what is behind it was taken"),
        }
    }
}

// === impl Words ===

impl Words {
    fn new(world: &World, path: &str) -> Self {
        let proxy = format!("/v1/proxy/{}", world.connection);
        let head = format!("host: h\r\nauthorization: Bearer {}\r\n", world.agent.token);
        let denied = path.replacen("/echo/", "/denied/", 1);
        Self {
            path: format!("{proxy}{path}"),
            behind: format!("GET {proxy}{denied} HTTP/1.1\r\n{head}\r\n"),
            head: format!("{head}content-type: text/plain\r\n"),
        }
    }

    /// A character is a byte.
    fn put_into(&self, text: &str) -> Vec<u8> {
        let length = self.behind.len();
        let text = text
            .replace("<path>", &self.path)
            .replace("<head>", &self.head)
            .replace(BEHIND, &self.behind)
            .replace("<hex>", &format!("{length:x}"))
            .replace("<length>", &length.to_string());
        text.chars().map(|c| u8::try_from(c).unwrap()).collect()
    }
}

/// Stands for a request with the agent's token to where it may not go.
const BEHIND: &str = "<behind>";
