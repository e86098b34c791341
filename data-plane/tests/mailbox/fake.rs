//! A server of mail that means no good: it lets in whoever comes, and what it does then is in the
//! user's name.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fixture::PASSWORD;

/// Those who hand in elsewhere.
pub const USERS: [&str; 5] = [
    "cut@fake.example",
    "echo@fake.example",
    "endless@fake.example",
    "huge@fake.example",
    "nonsense@fake.example",
];

pub struct Fake(SocketAddr);

// === impl Fake ===

impl Fake {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                // Whoever was spoken to may go away.
                std::thread::spawn(move || serve(tcp).ok());
            }
        });
        Self(address)
    }

    /// As the operator exempts it.
    pub fn host(&self) -> String {
        self.0.to_string()
    }

    pub fn address(&self) -> (String, u16) {
        (self.0.ip().to_string(), self.0.port())
    }
}

fn serve(mut tcp: TcpStream) -> std::io::Result<()> {
    let lines = BufReader::new(tcp.try_clone()?).lines();
    tcp.write_all(b"* OK hello\r\n")?;
    let mut user = String::new();
    let mut lines = lines.map_while(Result::ok);
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("a ").unwrap_or_default();
        match command.split(' ').next().unwrap_or_default() {
            "CAPABILITY" => {
                tcp.write_all(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na OK done\r\n")?;
            }
            "AUTHENTICATE" => {
                tcp.write_all(b"+ \r\n")?;
                let shown = STANDARD.decode(lines.next().unwrap_or_default()).unwrap();
                let shown = String::from_utf8(shown).unwrap();
                user = shown.split('\0').nth(1).unwrap_or_default().to_owned();
                tcp.write_all(b"a OK in\r\n")?;
            }
            "LIST" => {
                let listed = "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Secret\r\na OK done\r\n";
                tcp.write_all(listed.as_bytes())?;
            }
            "EXAMINE" => tcp.write_all(b"* 1 EXISTS\r\na OK done\r\n")?,
            "LOGOUT" => return Ok(()),
            _ => return misbehave(&mut tcp, user.split('@').next().unwrap_or_default()),
        }
    }
    Ok(())
}

fn misbehave(tcp: &mut TcpStream, how: &str) -> std::io::Result<()> {
    match how {
        // In the midst of a letter.
        "cut" => tcp.write_all(b"* 1 FETCH (UID 1 BODY[] {1000}\r\nFrom: x")?,
        "echo" => {
            let said = format!("a NO I do not like {PASSWORD}\r\n");
            tcp.write_all(said.as_bytes())?;
        }
        "endless" => loop {
            tcp.write_all(&[b'x'; 65_536])?;
        },
        "huge" => tcp.write_all(b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\nFrom: x")?,
        _ => tcp.write_all(b"* 1 FETCH ((((\r\n* )) x \"\r\na OK done\r\n")?,
    }
    Ok(())
}
