//! A real mail server to read from: Dovecot, which `.ci/prerequisites test` brings.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub struct Dovecot {
    /// Begins unprotected, and takes no password before STARTTLS.
    pub imap: SocketAddr,
    /// Under TLS from the first byte.
    pub imaps: SocketAddr,
    folder: tempfile::TempDir,
    process: Child,
}

// === impl Dovecot ===

impl Dovecot {
    /// With one mailbox, and a certificate and its key.
    pub fn start(user: &str, password: &str, certificate: &Path, key: &Path) -> Self {
        for _ in 0..ATTEMPTS {
            let started = Self::try_start(user, password, certificate, key);
            if let Some(dovecot) = started {
                return dovecot;
            }
        }
        panic!("Dovecot finds no port");
    }

    /// It can't say which port it got: it is given one that was free, and `None` if that is taken by
    /// the time it comes.
    fn try_start(user: &str, password: &str, certificate: &Path, key: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [imap, imaps] = free.map(|socket| socket.local_addr().unwrap());
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        // Its processes run as others than ourselves if we are root.
        open_up(folder.path(), 0o755);
        open_up(&mail, 0o777);
        write_user(folder.path(), user, password);
        let settings = settings(folder.path(), certificate, key, imap.port(), imaps.port());
        let file = folder.path().join("dovecot.conf");
        std::fs::write(&file, settings).unwrap();
        let process = Command::new(program())
            .arg("-F")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("run .ci/prerequisites test first: {error}"));
        let dovecot = Self {
            imap,
            imaps,
            folder,
            process,
        };
        dovecot.wait().then_some(dovecot)
    }

    /// From now on the mailbox opens to this password alone.
    pub fn set_password(&self, user: &str, password: &str) {
        write_user(self.folder.path(), user, password);
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Until it listens; `false` if its port is taken.
    fn wait(&self) -> bool {
        for _ in 0..600 {
            let log = self.log();
            if log.contains("starting up") {
                return true;
            }
            if log.contains("Address already in use") {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Dovecot does not start: {}", self.log());
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It ends its own processes, given the chance.
        let pid = i32::try_from(self.process.id()).ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

const ATTEMPTS: usize = 5;

fn program() -> &'static str {
    let places = [
        "/usr/sbin/dovecot",
        "/usr/local/sbin/dovecot",
        "/opt/homebrew/sbin/dovecot",
    ];
    let found = places.into_iter().find(|place| Path::new(place).exists());
    found.unwrap_or("dovecot")
}

fn open_up(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn write_user(folder: &Path, user: &str, password: &str) {
    let (file, partial) = (folder.join("users"), folder.join("users.partial"));
    std::fs::write(&partial, format!("{user}:{{PLAIN}}{password}:::::::\n")).unwrap();
    open_up(&partial, 0o644);
    std::fs::rename(partial, file).unwrap();
}

fn settings(folder: &Path, certificate: &Path, key: &Path, imap: u16, imaps: u16) -> String {
    let folder = folder.display();
    let owners = match rustix::process::geteuid().is_root() {
        true => String::new(),
        false => {
            let me = Command::new("id").arg("-un").output().unwrap().stdout;
            let me = String::from_utf8(me).unwrap();
            let me = me.trim();
            format!("default_internal_user = {me}\ndefault_login_user = {me}\n")
        }
    };
    let uid = match rustix::process::geteuid() {
        root if root.is_root() => "uid=nobody gid=nogroup".to_owned(),
        uid => {
            let gid = rustix::process::getegid();
            format!("uid={} gid={}", uid.as_raw(), gid.as_raw())
        }
    };
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
{owners}protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = yes
auth_mechanisms = plain
auth_cache_size = 0
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = {uid} home={folder}/mail/%u
}}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
",
        certificate = certificate.display(),
        key = key.display(),
    )
}
