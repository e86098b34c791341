//! A real mail server to read from: Dovecot, which `.ci/prerequisites test` brings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub struct Dovecot {
    /// Begins unprotected, and takes no password before STARTTLS.
    pub imap: SocketAddr,
    /// Under TLS from the first byte.
    pub imaps: SocketAddr,
    delivered: AtomicUsize,
    folder: tempfile::TempDir,
    process: Child,
    /// Held while the file of users is changed.
    users: Mutex<()>,
}

// === impl Dovecot ===

impl Dovecot {
    /// With these mailboxes, all of one password, and a certificate and its key.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(users: &[&str], password: &str, certificate: &Path, key: &Path) -> Self {
        for _ in 0..ATTEMPTS {
            let started = Self::try_start(users, password, certificate, key);
            if let Some(dovecot) = started {
                return dovecot;
            }
        }
        panic!("Dovecot finds no port");
    }

    /// It can't say which port it got: it is given one that was free, and `None` if that is taken by
    /// the time it comes.
    fn try_start(users: &[&str], password: &str, certificate: &Path, key: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [imap, imaps] = free.map(|socket| socket.local_addr().unwrap());
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        // Its processes run as others than ourselves if we are root.
        open_up(folder.path(), 0o755);
        open_up(&mail, 0o777);
        write_users(folder.path(), users, password);
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
            delivered: AtomicUsize::new(0),
            folder,
            process,
            users: Mutex::new(()),
        };
        dovecot.wait().then_some(dovecot)
    }

    /// From now on there is this mailbox, and it opens to this password alone.
    pub fn set_password(&self, user: &str, password: &str) {
        write_users(self.folder.path(), &[user], password);
    }

    /// Puts a letter into a mailbox: into its inbox, or the folder of this name in the server's own
    /// spelling.
    ///
    /// # Panics
    /// The letter cannot be written.
    pub fn deliver(&self, user: &str, folder: Option<&str>, letter: &[u8]) {
        let mut place = self.folder.path().join("mail").join(user);
        make(&place);
        if let Some(folder) = folder {
            place.push(format!(".{folder}"));
            make(&place);
        }
        for name in ["cur", "new", "tmp"] {
            make(&place.join(name));
        }
        let number = self.delivered.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.M{number}.test", 1_700_000_000 + number);
        let partial = place.join("tmp").join(&name);
        std::fs::write(&partial, letter).unwrap();
        open_up(&partial, 0o666);
        std::fs::rename(partial, place.join("new").join(name)).unwrap();
    }

    /// As another program would: the letter of this number in the inbox, from one, is to go.
    ///
    /// # Panics
    /// There is none.
    pub fn mark_deleted(&self, user: &str, number: usize) {
        let place = self.folder.path().join("mail").join(user);
        let mut letters: Vec<_> = ["cur", "new"]
            .iter()
            .flat_map(|name| std::fs::read_dir(place.join(name)).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        letters.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_owned));
        let letter = &letters[number - 1];
        let name = letter.file_name().unwrap().to_str().unwrap();
        let name = name.split(':').next().unwrap();
        std::fs::rename(letter, place.join("cur").join(format!("{name}:2,T"))).unwrap();
    }

    /// From now on this mailbox opens to no password that anybody knows.
    ///
    /// # Panics
    /// The file of users cannot be written.
    pub fn lock_out(&self, user: &str) {
        let _turn = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.folder.path().join("users");
        let users = std::fs::read_to_string(&file).unwrap();
        let others = users
            .lines()
            .filter(|line| !line.starts_with(&format!("{user}:")));
        let others: String = others.map(|line| format!("{line}\n")).collect();
        replace(&file, &others);
    }

    #[must_use]
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

/// For all to work in, if it is not there.
fn make(place: &Path) {
    if std::fs::create_dir(place).is_ok() {
        open_up(place, 0o777);
    }
}

fn write_users(folder: &Path, users: &[&str], password: &str) {
    let lines = users
        .iter()
        .map(|user| format!("{user}:{{PLAIN}}{password}:::::::\n"));
    replace(&folder.join("users"), &lines.collect::<String>());
}

fn replace(file: &Path, text: &str) {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, text).unwrap();
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
